"""Players with known answers: one that adapts, one that does not, and one that knows only the seen tasks."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from small_envs import AIM, aiming
from small_players import GreedyArm, KnowsTheArm
from torch.nn.functional import one_hot

from gpicl_agents.models.gru import GRU
from gpicl_agents.policy_diagnosis import (
    NOT,
    ON_SEEN_ONLY,
    ON_UNSEEN,
    diagnose_player,
    diagnose_policy,
    problems_of,
    rise,
)
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.run_setup import set_up
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.dark_room import DarkRoom
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.players.base import Player, UniformPlayer
from gpicl_envs.rl.players.dark_room import SystematicSearch
from gpicl_envs.rl.wrapped_problems import WrappedProblems

SEEN = Bandit(length=40, n_tasks=1)
ONE_PROJECTION = WrappedProblems(
    "GPICL-Bandit-v0", project=1, n_projections=1, env_kwargs={"length": SEEN.length, "n_tasks": 1}
)


class KnowsTheSeenArms(Player):
    """Pulls the worst arm of task 0, and after the first tenth of the problem its best, whatever it earns."""

    name = "by heart"

    def start(self, made, batch_size, generator):
        p = SEEN.sample(1).hidden["p"][0]
        return 0, p

    def act(self, state, observation):
        n, p = state
        arm = p.argmin() if n < SEEN.length // 10 else p.argmax()
        return arm.repeat(len(observation["x"])), (n + 1, p)


@pytest.mark.parametrize(
    ("player", "phase"),
    [(GreedyArm(), ON_UNSEEN), (UniformPlayer(), NOT), (KnowsTheArm(), NOT), (KnowsTheSeenArms(), ON_SEEN_ONLY)],
    ids=lambda value: getattr(value, "name", value),
)
def test_players_of_bandits_are_told_apart(player: Player, phase: str):
    found = diagnose_player(player, SEEN, problems=300)
    assert found.phase == phase
    assert found.player == f"{player.name}, meta-trained on 1 task of Bandit"
    assert found.reasons[0] == "mean reward of the first 4 steps → of the last:" and len(found.reasons) == 3


def test_a_gain_that_is_known_lies_in_its_interval():
    """The player that knows task 0 gains the difference of its best and its worst arm there, and nothing elsewhere."""
    p = SEEN.sample(1).hidden["p"]
    found = diagnose_player(KnowsTheSeenArms(), SEEN, problems=400)
    for protocol, known in ((SEEN_TASK, float(p.max() - p.min())), (UNSEEN_TASK, 0.0)):
        assert found.gains[protocol].low < known < found.gains[protocol].high


def test_episodes_of_several_steps_are_compared_as_a_whole():
    """A systematic search finds the goal of every room at last, and returns to it."""
    made = DarkRoom(size=3, horizon=6, n_episodes=4)
    found = diagnose_player(SystematicSearch(), made, problems=100)
    assert found.phase == ON_UNSEEN and found.reasons[0] == "return of the first episode → of the last:"
    assert found.gains.keys() == {UNSEEN_TASK} and "unlimited tasks of DarkRoom" in found.player
    (curve,) = evaluate_players([SystematicSearch()], made.unseen(), problems=100)
    first, last, gain = rise(curve)
    assert first == pytest.approx(curve.returns[:, 0].mean()) and last == pytest.approx(curve.returns[:, -1].mean())
    assert float(gain.mean) == pytest.approx(last - first) and gain.low < last - first < gain.high


def test_a_bandits_parts_are_tenths_of_its_steps():
    (curve,) = evaluate_players([GreedyArm()], Bandit(length=30, split="test"), problems=50)
    first, last, gain = rise(curve)
    assert first == pytest.approx(curve.rewards[:, :3].mean()) and last == pytest.approx(curve.rewards[:, -3:].mean())
    assert float(gain.mean) == pytest.approx(last - first)
    assert np.isfinite([gain.low, gain.high]).all() and -1 <= gain.low < gain.high <= 1


@pytest.mark.parametrize("made", [Bandit(length=1), DarkRoom(n_episodes=1)])
def test_one_episode_alone_shows_no_rise(made):
    with pytest.raises(ValueError, match="give at least 2"):
        diagnose_player(UniformPlayer(), made)


def test_the_problems_of_meta_training_come_from_the_checkpoint_or_are_given(tmp_path):
    venv = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=2, n_arms=3, length=4, n_tasks=2)
    torch.manual_seed(0)
    train_from_reward(GRU(3, 3, width=4), venv, RewardConfig(steps=1, evaluate_every=0), folder=tmp_path / "run")
    run = str(tmp_path / "run")
    recorded = Bandit(n_arms=3, length=4, n_tasks=2)
    assert problems_of(run, None, {}).arguments == recorded.arguments
    assert problems_of(run, None, {"n_tasks": None}).n_tasks is None
    assert problems_of("uniform", "GPICL-Bandit-v0", {"length": 7}).length == 7
    assert problems_of("knn", None, {}) is None and problems_of(run, "GPICL-MNIST-v0", {}) is None
    with pytest.raises(ValueError, match="config.json, training.problem: .*n_arms=1 is not allowed"):
        problems_of(run, None, {"n_arms": 1})


class AimsLater(GRU):
    """Stays in the middle in the first episode of a problem, and aims at the point in all others."""

    def start(self, batch_size):
        return torch.zeros(batch_size)

    def act_and_value(self, state, x, feedback):
        state = state + x[:, 0, 2]  # the starts of episodes
        return x[..., :1] * (state > 1)[:, None, None], x[..., 0], state


def test_policies_of_problems_made_of_an_environment_are_told_apart():
    made = WrappedProblems(AIM, trials=3)
    agent = AimsLater(3, 1, width=4, normalize_inputs=False, continuous_actions=True)
    agent.log_std.data.fill_(-20.0)
    with aiming():
        found = diagnose_policy(agent, made, problems=200)
        projected = WrappedProblems(AIM, trials=3, project=1, n_projections=4)
        untrained = diagnose_policy(GRU(3, 1, width=4, continuous_actions=True), projected, problems=40)
        with pytest.raises(ValueError, match="with one episode has nothing .* give at least 2"):
            diagnose_policy(agent, WrappedProblems(AIM, trials=1))
        with pytest.raises(ValueError, match="continuous_actions=False, but Aim-v0 needs True"):
            diagnose_policy(GRU(3, 1, width=4), made)
    assert (found.phase, found.player, found.gains.keys()) == (ON_UNSEEN, "gru on Aim-v0", {UNSEEN_TASK})
    assert found.gains[UNSEEN_TASK].low < 4 / 3 < found.gains[UNSEEN_TASK].high  # E[x²] = 1/3 in each of four steps
    assert untrained.phase == NOT and list(untrained.gains) == [SEEN_TASK, UNSEEN_TASK]
    assert untrained.player == "gru on 4 projections of Aim-v0"


def test_single_steps_are_compared_by_tenths_of_the_problem():
    made = WrappedProblems("GPICL-Bandit-v0", project=3, env_kwargs={"length": 30})
    found = diagnose_policy(GRU(5, 5, width=4, normalize_inputs=False), made, problems=40)
    assert found.reasons[0] == "mean reward of the first 3 steps → of the last:"
    size = found.gains[UNSEEN_TASK].high - found.gains[UNSEEN_TASK].low
    assert size < 5 * (2 * 0.25 / 3 / 40) ** 0.5  # of single pulls it would be wider by the root of three


class KnowsTheSeenLabels(GRU):
    """Pulls the worst arm of task 0 behind projection 0, and after the first tenth of the problem its best."""

    def start(self, batch_size):
        return torch.zeros(batch_size)

    def act_and_value(self, state, x, feedback):
        (arms,) = SEEN.sample(1).hidden["p"]
        (labels,) = ONE_PROJECTION.make(1).projections.actions
        p = arms[labels]
        label = torch.where(state < SEEN.length // 10, p.argmin(), p.argmax())
        return 1e9 * one_hot(label, len(p))[:, None].float(), x[..., 0], state + 1


def test_fixed_tasks_of_projected_problems_are_seen_ones():
    policy = KnowsTheSeenLabels(3, 5, width=4, normalize_inputs=False)
    found = diagnose_policy(policy, ONE_PROJECTION, problems=200)
    assert (found.phase, found.player) == (ON_SEEN_ONLY, "gru on 1 projection of 1 task of GPICL-Bandit-v0")
    endless = diagnose_policy(policy, replace(ONE_PROJECTION, n_projections=None), problems=40)
    assert endless.player == "gru on endless projections of 1 task of GPICL-Bandit-v0"
    assert list(endless.gains) == [SEEN_TASK, UNSEEN_TASK]


def test_problems_made_of_an_environment_come_from_the_checkpoint(tmp_path):
    with aiming():
        agent, venv = set_up("gru,width=4", batch_size=2, env=AIM, wrapping={"trials": 2, "project": 3})
        train_from_reward(agent, venv, RewardConfig(steps=1, evaluate_every=0), folder=tmp_path / "run")
    run = str(tmp_path / "run")
    assert problems_of(run, None, {}) == venv.description
    assert problems_of(run, None, {"actions": "discrete"}).env_kwargs == {"actions": "discrete"}
    assert problems_of(run, "Pendulum-v1", {}) == WrappedProblems("Pendulum-v1", trials=2, project=3)
