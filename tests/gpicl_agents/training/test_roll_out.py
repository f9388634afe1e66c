"""Whole problems, played by a sequence model."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from small_envs import AIM, Aim, aiming

import gpicl_envs  # noqa: F401
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.roll_out import RollOut, episode_returns, roll_out
from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.tasks.episodes import Episodes
from gpicl_envs.wrappers import VectorTrials

SMALL = {"width": 32, "n_heads": 1, "input_rank": 32, "similarity_bias": 10.0}


def venv(batch: int = 8, **arguments):
    given = {"n_features": 32, "n_classes": 3, "length": 20, "feedback": "label"} | arguments
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=batch, **given)


@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_a_roll_out_is_what_stepping_the_environment_gives(feedback: str):
    """Inputs, feedback and rewards, position by position, for the actions that were played."""
    learner = Transformer(32, 3, **SMALL)
    env = venv(feedback=feedback)
    env.reset(seed=5)
    played = roll_out(learner, env.unwrapped, 0)
    observation, _ = env.reset(seed=5)
    for n in range(20):
        assert torch.equal(observation["x"], played.x[:, n])
        assert torch.equal(observation["y"], played.feedback[:, n])
        observation, reward, *_ = env.step(played.actions[:, n])
        assert torch.equal(reward.float(), played.rewards[:, n])


@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_the_probabilities_are_those_of_the_policy_that_played(feedback: str):
    """Stepping and the parallel pass agree, so the first epoch's ratio is 1."""
    learner = Transformer(32, 3, **SMALL)
    torch.nn.init.normal_(learner.read_out.weight)
    env = venv(feedback=feedback)
    env.reset(seed=5)
    played = roll_out(learner, env.unwrapped, 0)
    again = learner(played.x, played.feedback).log_softmax(2).gather(2, played.actions[..., None])[..., 0]
    assert torch.allclose(again, played.log_probability, atol=1e-4)


def test_labels_that_were_not_chosen_do_not_matter_to_bandits():
    """Wherever the action was wrong, the other wrong label gives the same roll-out bit for bit: no label leaks."""
    learner = Transformer(12, 3, width=16, n_heads=2, input_rank=6, similarity_bias=3.0)
    torch.nn.init.normal_(learner.read_out.weight, generator=torch.Generator().manual_seed(1))
    env = gymnasium.make_vec(
        "GPICL-Digits-v0", num_envs=16, feedback="reward", n_features=12, n_classes=3, length=9
    ).unwrapped
    env.reset(seed=1)

    def play() -> RollOut:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return roll_out(learner, env, 0)

    first, episodes = play(), env.sample_episodes(0)
    other = torch.where(first.actions == episodes.y, episodes.y, 3 - first.actions - episodes.y)
    assert not torch.equal(other, episodes.y)
    env.sample_episodes = lambda number: Episodes(episodes.x, other, episodes.index, episodes.tasks)
    second = play()
    for name in ("feedback", "actions", "log_probability", "rewards"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def policy(venv, **arguments) -> GRU:
    made = venv.unwrapped.distribution
    learner = GRU(made.n_features + 2, made.n_actions, width=16, normalize_inputs=False, value_head=True, **arguments)
    torch.nn.init.normal_(learner.read_out.weight, generator=torch.Generator().manual_seed(0))
    return learner


@pytest.mark.parametrize("env_id", rl_environments())
def test_a_roll_out_of_an_rl_problem_is_what_stepping_gives(env_id: str):
    venv = gymnasium.make_vec(env_id, num_envs=5, autoreset_mode="Disabled")
    played = roll_out(policy(venv), venv, 7)
    seen, rewards = venv.reset(seed=7)[0], []
    for n in range(venv.unwrapped.length):
        assert torch.equal(torch.cat([seen["x"], seen["reward"], seen["start"]], 1), played.x[:, n])
        assert torch.equal(seen["action"], played.feedback[:, n])
        seen, reward, *_ = venv.step(played.actions[:, n])
        rewards.append(reward)
    assert torch.equal(torch.stack(rewards, 1), played.rewards) and played.alive.all()


def test_stepping_and_the_parallel_pass_agree_on_policy_and_critic():
    venv = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=5)
    learner = policy(venv)
    played = roll_out(learner, venv, 3)
    logits, values, _ = learner.act_and_value(learner.start(5), played.x, played.feedback)
    again = logits.log_softmax(2).gather(2, played.actions[..., None])[..., 0]
    assert torch.allclose(again, played.log_probability, atol=1e-4) and torch.allclose(values, played.values, atol=1e-4)
    assert played.values.std() > 0


def test_greedy_play_takes_the_most_likely_action():
    venv = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=5)
    learner = policy(venv)
    played = roll_out(learner, venv, 3, greedy=True)
    assert torch.equal(learner(played.x, played.feedback).argmax(2), played.actions)


class Ends:
    """Problems of different lengths, whose environments go on after the end, in NumPy."""

    num_envs = 3
    metadata: dict = {}
    single_action_space = gymnasium.spaces.Discrete(2)
    length = 0.5  # as gymnasium's CartPole has: half that of the pole

    def __init__(self) -> None:
        self.unwrapped, self.n = self, 0

    def observe(self) -> dict:
        import numpy as np

        zeros = np.zeros((3, 1), np.float32)
        return {"x": zeros, "action": np.zeros((3, 2), np.float32), "reward": zeros, "start": zeros}

    def reset(self, seed: int):
        self.n = 0
        return self.observe(), {}

    def step(self, actions):
        import numpy as np

        self.n += 1
        ends = self.n == np.array([1, 3, 2])
        return (
            self.observe(),
            np.full(3, self.n, np.float64),
            ends & [True, False, True],
            ends & [False, True, False],
            {},
        )


def test_nothing_counts_after_the_end_of_a_problem():
    learner = GRU(3, 2, width=8, normalize_inputs=False)
    played = roll_out(learner, Ends(), 0)
    assert played.alive.tolist() == [[True, False, False], [True, True, True], [True, True, False]]
    assert played.rewards.tolist() == [[1, 0, 0], [1, 2, 3], [1, 2, 0]]


def test_problems_of_different_lengths_are_played_in_every_autoreset_mode():
    """What counts is the same: the actions of ended rows are drawn, but play another problem."""
    found = []
    for mode in AutoresetMode:
        inner = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1", max_episode_steps=30)] * 3, autoreset_mode=mode)
        venv = VectorTrials(inner, episodes=2)
        learner = GRU(venv.single_observation_space["x"].shape[0] + 2, 2, width=8, normalize_inputs=False)
        played = roll_out(learner, venv, 4, greedy=True)
        assert played.alive.any(1).all() and len(set(played.alive.sum(1).tolist())) > 1
        found.append(played.rewards.sum(1))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@pytest.mark.parametrize("actions", ["box", "discrete"])
def test_actions_are_the_environments_own_when_they_are_given_to_it(actions: str):
    """From 0 to 20, or from 5 to 7: what is played is what stepping gives; the feedback is in units of the bounds."""
    with aiming():
        venv = WrappedProblems(AIM, trials=2, env_kwargs={"actions": actions}).make(6)
    is_box = actions == "box"
    learner = GRU(3, 1 if is_box else 3, width=8, normalize_inputs=False, continuous_actions=is_box, value_head=True)
    torch.nn.init.normal_(learner.read_out.weight, generator=torch.Generator().manual_seed(0))
    played = roll_out(learner, venv, 5)
    assert played.actions.shape == ((6, 8, 1) if is_box else (6, 8)) and played.alive.all()
    seen, rewards = venv.reset(seed=5)[0], []
    for n in range(8):
        action = played.actions[:, n]
        given = (10 + 10 * action.clamp(-1, 1)) if is_box else action + 5
        assert (seen["start"][:, 0] == (n in (0, 4))).all()
        if n:
            before = played.actions[:, n - 1]
            expected = before.clamp(-1, 1) if is_box else torch.nn.functional.one_hot(before, 3).float()
            assert torch.allclose(played.feedback[:, n], expected, atol=1e-5)
        seen, reward, *_ = venv.step(given.numpy())
        rewards.append(torch.as_tensor(reward, dtype=torch.float32))
    assert torch.allclose(torch.stack(rewards, 1), played.rewards)
    outputs, values, _ = learner.act_and_value(learner.start(6), played.x, played.feedback)
    if is_box:
        assert (played.actions.abs() > 1).any()  # what was drawn, not what was clipped, has these probabilities
        again = torch.distributions.Normal(outputs, learner.log_std.exp()).log_prob(played.actions)[..., 0]
    else:
        again = outputs.log_softmax(2).gather(2, played.actions[..., None])[..., 0]
    assert torch.allclose(again, played.log_probability, atol=1e-4) and torch.allclose(values, played.values, atol=1e-4)
    returns = episode_returns(played, 2)
    assert torch.allclose(returns.float(), played.rewards.view(6, 2, 4).sum(2))
    greedy = roll_out(learner, venv, 5, greedy=True)
    outputs = learner(greedy.x, greedy.feedback)
    assert torch.allclose(greedy.actions.float(), outputs if is_box else outputs.argmax(2).float(), atol=1e-4)


@pytest.mark.parametrize("wrong", ["reward", "x"])
def test_numbers_from_which_nothing_can_be_learned_are_named(wrong: str, monkeypatch: pytest.MonkeyPatch):
    step = Aim.step

    def broken(self: Aim, action: Any) -> Any:
        seen, reward, *ends = step(self, action)
        return (seen, np.nan, *ends) if wrong == "reward" else (seen * np.nan, reward, *ends)

    monkeypatch.setattr(Aim, "step", broken)
    with aiming():
        venv = WrappedProblems(AIM, trials=2).make(3)
        learner = GRU(3, 1, width=8, normalize_inputs=False, continuous_actions=True)
        with pytest.raises(FloatingPointError, match=f"Aim-v0 showed {wrong} = nan at step [01]: correct"):
            roll_out(learner, venv, 5)
