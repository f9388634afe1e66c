"""Players on the same problems: known answers, rules, and that nobody changes what others get."""

import gymnasium
import numpy as np
import pytest
import torch
from small_players import GreedyArm, KnowsTheArm

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.evaluate import PlayerCheckError, evaluate_players
from gpicl_envs.rl.players.base import UniformPlayer

MADE = Bandit(split="test", length=20)


def test_known_answers_lie_in_the_intervals():
    """Uniform play earns N/2, the best arm A/(A + 1) · N; who pulls it has no regret, and neither gains anything."""
    uniform, knows = evaluate_players([UniformPlayer(), KnowsTheArm()], MADE, problems=2000)
    for curve, expected in ((uniform, 10), (knows, 20 * 5 / 6)):
        assert curve.total_return.low < expected < curve.total_return.high
        assert curve.gain.low < 0 < curve.gain.high
    assert knows.total_regret.low < 0 < knows.total_regret.high
    assert uniform.total_regret.low < 20 * (5 / 6 - 1 / 2) < uniform.total_regret.high
    assert knows.knows_the_problem and not uniform.knows_the_problem


def test_a_player_that_learns_gains_within_a_problem():
    (greedy,) = evaluate_players([GreedyArm()], MADE, problems=1000)
    assert greedy.gain.low > 0.1 and greedy.episode_regret.mean[-1] < greedy.episode_regret.mean[0]


def test_the_problems_are_those_of_a_single_environment_one_after_the_other():
    """So a player of another program can be compared on the very same problems."""
    (curve,) = evaluate_players([GreedyArm()], MADE, problems=4, seed=7)
    env, rewards = gymnasium.make("GPICL-Bandit-v0", split="test", length=20), []
    for i in range(4):
        observation, _ = env.reset(seed=7 if i == 0 else None)
        player, own = GreedyArm(), []
        state = player.start(MADE, 1, torch.Generator())
        for _ in range(20):
            seen = {name: torch.from_numpy(value)[None] for name, value in observation.items()}
            action, state = player.act(state, seen)
            observation, reward, *_ = env.step(action.item())
            own.append(reward)
        rewards.append(own)
    assert curve.rewards.tolist() == rewards


def test_a_result_depends_on_the_seed_and_not_on_other_players():
    alone = evaluate_players([UniformPlayer()], MADE, problems=50, seed=3)[0]
    beside = evaluate_players([GreedyArm(), UniformPlayer(), UniformPlayer()], MADE, problems=50, seed=3)
    assert np.array_equal(alone.rewards, beside[1].rewards) and np.array_equal(alone.rewards, beside[2].rewards)
    other = evaluate_players([UniformPlayer()], MADE, problems=50, seed=4)[0]
    assert not np.array_equal(alone.rewards, other.rewards) and not np.array_equal(alone.best, other.best)


def test_a_knowing_player_cannot_change_the_problems():
    class Forges(KnowsTheArm):
        def start_knowing(self, made, problems, generator):
            problems.hidden["p"].fill_(1.0)
            return super().start_knowing(made, problems, generator)

    forged, uniform = evaluate_players([Forges(), UniformPlayer()], MADE, problems=200)
    assert forged.total_return.mean < 15 and uniform.total_return.mean < 12


def test_protocols():
    assert evaluate_players([UniformPlayer()], MADE, problems=2)[0].protocol == "unseen-task"
    seen = Bandit(n_tasks=8, length=5)
    (curve,) = evaluate_players([UniformPlayer()], seen, problems=40)
    assert curve.protocol == "seen-task" and set(curve.task_id.tolist()) <= set(range(8))
    assert evaluate_players([UniformPlayer()], seen.unseen(), problems=2)[0].protocol == "unseen-task"
    with pytest.raises(ValueError, match="needs new tasks, but n_tasks=8"):
        evaluate_players([UniformPlayer()], seen, problems=2, protocol="unseen-task")
    with pytest.raises(ValueError, match="Unknown protocol 'unseen-dataset'"):
        evaluate_players([UniformPlayer()], MADE, problems=2, protocol="unseen-dataset")


class Rogue(UniformPlayer):
    name = "rogue"

    def __init__(self, act):
        self.chosen = act

    def act(self, state, observation):
        return self.chosen(observation), state


def overwrites(observation):
    observation["x"].zero_()
    return observation["action"].argmax(1)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda seen: torch.full((5,), 5),
            "rogue.act.* at step 0: Action 5 is out of range: give a number",
        ),
        (lambda seen: torch.full((5,), -1), "Action -1 is out of range"),
        (lambda seen: torch.zeros(5), "rogue.act.* must be integer numbers, given float32"),
        (lambda seen: torch.zeros(5, 1, dtype=torch.int64), r"rogue.act.* must have shape \(5,\), given \(5, 1\)"),
        (lambda seen: 3, r"rogue.act.* returned tuple: return \(actions, state\), actions a tensor"),
        (overwrites, r"rogue.act.* at step 0 changed observation\['x'\] in place"),
        (lambda seen: (seen.pop("start") > 2)[:, 0].long(), r"changed observation\['start'\]"),
        (lambda seen: torch.randint(5, (5,)), "rogue acts differently at step 0 when it plays the same problems again"),
    ],
)
def test_rules_are_checked_and_the_error_names_the_player(act, message: str):
    with pytest.raises(PlayerCheckError, match=message):
        evaluate_players([Rogue(act)], MADE, problems=5)


def test_bad_input_is_refused():
    class OfMazes(UniformPlayer):
        name, problems = "of-mazes", ("DarkRoom",)

    with pytest.raises(ValueError, match="of-mazes plays DarkRoom, not Bandit"):
        evaluate_players([OfMazes()], MADE)
    with pytest.raises(ValueError, match="problems=0"):
        evaluate_players([UniformPlayer()], MADE, problems=0)
    with pytest.raises(TypeError, match="is not a Player: derive its class"):
        evaluate_players([UniformPlayer], MADE)
    with pytest.raises(TypeError, match="not a distribution of in-context RL problems"):
        evaluate_players([UniformPlayer()], "Bandit")
