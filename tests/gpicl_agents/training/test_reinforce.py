import json
from itertools import product
from pathlib import Path

import gymnasium
import pytest
import torch

import gpicl_envs  # noqa: F401
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.rl2 import RL2
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import latest_checkpoint, load_learner
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.reinforce import (
    RewardConfig,
    RollOut,
    _advantages,
    _objective,
    returns,
    roll_out,
    train_from_reward,
)
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes

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


def test_returns():
    rewards = torch.tensor([[1.0, 0.0, 2.0]])
    assert torch.allclose(returns(rewards, 0.5), torch.tensor([[1.5, 1.0, 2.0]]))
    assert torch.equal(returns(rewards, 0.0), rewards)


@pytest.mark.parametrize("feedback", ["label", "reward"])
def test_learning_to_learn_emerges_from_reward_alone(feedback: str):
    """On real digits: from a third at first to well above it at the end of the episodes."""
    learner, last = Transformer(32, 3, **SMALL), []
    config = RewardConfig(steps=100, learning_rate=6e-3, warmup_steps=10)
    train_from_reward(learner, venv(32, feedback=feedback), config, report=lambda p: last.append(p.accuracy))
    assert sum(last[:5]) / 5 < 0.42 and sum(last[-20:]) / 20 > 0.55


def test_labels_that_are_not_rewarded_teach_nothing():
    """With every reward 0 nothing is learned, though bandit episodes have labels inside."""
    learner = Transformer(32, 3, **SMALL)
    env = venv(feedback="reward")
    env.unwrapped.action_type.reward = lambda action, target: torch.zeros(len(action))
    before = [p.clone() for p in learner.parameters()]
    train_from_reward(learner, env, RewardConfig(steps=3, entropy=0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))


def test_the_seed_fixes_everything_and_the_global_stream_is_left_alone():
    def weights(seed: int) -> torch.Tensor:
        learner = GRU(32, 3, width=8, input_rank=8)
        train_from_reward(learner, venv(), RewardConfig(steps=3, epochs=2, seed=seed))
        return torch.nn.utils.parameters_to_vector(learner.parameters())

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))
    assert torch.rand(1) == expected


def test_the_folder_holds_metrics_and_the_learner(tmp_path: Path):
    learner = GRU(32, 3, width=8, input_rank=8)
    train_from_reward(learner, venv(), RewardConfig(steps=4), folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4] and all(0 <= line["reward"] <= 1 for line in lines)
    x, y = torch.randn(2, 5, 32), torch.zeros(2, 5, dtype=torch.int64)
    assert torch.equal(load_learner(tmp_path).predict(x, y), learner.predict(x, y))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (make_learner("knn", n_features=32, n_classes=3), venv()), "needs a SequenceAgent"),
        (lambda: (GRU(32, 3, input_rank=8), venv(action="logits")), "action='label'"),
        (lambda: (GRU(32, 3, input_rank=8), venv(1)), "num_envs=1 leaves no other episode"),
        (lambda: (GRU(32, 4, input_rank=8), venv()), "made for n_classes=4, but the tasks have 3"),
        (lambda: (RL2(32, 3, input_rank=8), venv()), "feedback='reward'"),
    ],
    ids=["learner", "action", "batch", "classes", "feedback"],
)
def test_what_cannot_be_trained_is_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        train_from_reward(*make())


def test_rl2_trains_on_bandit_feedback():
    progress = train_from_reward(RL2(32, 3, width=16, input_rank=8), venv(feedback="reward"), RewardConfig(steps=2))
    assert progress.step == 2


# The estimator summed over everything that could be sampled, against the gradient of the expected return.

EMPTY = torch.empty(0)
PLAIN = RewardConfig(entropy=0.0)


class Fixed:
    """A policy whose logits are given."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def __call__(self, x: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        return self.logits


def leave_one_out(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """As `_advantages`, before the division by the deviation, which only scales the batch's step."""
    gained = returns(rewards, discount)
    return gained - (gained.sum(0) - gained) / (len(gained) - 1)


def objective(logits: torch.Tensor, actions: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
    taken = logits.detach().log_softmax(2).gather(2, actions[..., None])[..., 0]
    return _objective(Fixed(logits), RollOut(EMPTY, EMPTY, actions, EMPTY, taken), advantages, PLAIN, 1.0)


def test_the_advantages_are_the_leave_one_out_ones_up_to_one_scale():
    rewards = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratio = _advantages(rewards, 0.7) / leave_one_out(rewards, 0.7)
    assert ratio.min() > 0 and torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-9)


def test_the_gradient_is_unbiased():
    """Three episodes of one position, all 4³ joint actions: the gradient of the mean expected reward, to rounding."""
    logits = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    y, total = torch.tensor([2, 0, 2])[:, None], torch.zeros(3, 1, 4, dtype=torch.float64)
    policy = logits.detach().log_softmax(2)
    for joint in product(range(4), repeat=3):
        actions = torch.tensor(joint)[:, None]
        chance = policy.gather(2, actions[..., None]).sum().exp()
        gain = objective(logits, actions, leave_one_out((actions == y).double(), 0.0))
        total += chance * torch.autograd.grad(gain, logits)[0]
    expected = logits.softmax(2).gather(2, y[..., None]).mean()
    assert torch.allclose(total, torch.autograd.grad(expected, logits)[0], atol=1e-12)


def test_bandit_returns_credit_an_action_with_what_it_led_to():
    """Two steps, the second policy depends on the first action: all pairs of episodes give the discounted gradient."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    second = torch.randn(3, 3, generator=generator, dtype=torch.float64, requires_grad=True)  # by the first action
    gamma, episodes, expected = 0.5, [], torch.zeros((), dtype=torch.float64)
    for a, b in product(range(3), repeat=2):
        rewards = torch.tensor([float(a == 1), float(b == 2)], dtype=torch.float64)
        log_chance = first.log_softmax(0)[a] + second.log_softmax(1)[a, b]
        episodes.append((a, b, rewards, log_chance.exp()))
        expected = expected + log_chance.exp() * (rewards[0] + gamma * rewards[1])
    total = torch.zeros(3, dtype=torch.float64)
    for (a, b, rewards, chance), (c, d, others, other_chance) in product(episodes, repeat=2):
        logits = torch.stack([torch.stack([first, second[a]]), torch.stack([first, second[c]])])
        advantages = leave_one_out(torch.stack([rewards, others]), gamma)
        gain = objective(logits, torch.tensor([[a, b], [c, d]]), advantages)
        weight = (chance * other_chance).detach()
        total += weight * torch.autograd.grad(gain, first, retain_graph=True)[0]
    truth = torch.autograd.grad(expected, first)[0] / 2  # the objective is a mean over 2 positions
    assert torch.allclose(total, truth, atol=1e-12) and truth.abs().max() > 1e-3


@pytest.mark.parametrize(("likelier", "moves"), [(1.0, False), (-1.0, True)])
def test_beyond_the_clip_nothing_more_is_gained(likelier: float, moves: bool):
    """Towards the rewarded action by more than 1 + ε: no gradient; away from it: the way back stays open."""
    logits = torch.tensor([[[likelier, 0.0]], [[likelier, 0.0]]], requires_grad=True)
    played = RollOut(EMPTY, EMPTY, torch.tensor([[0], [1]]), EMPTY, torch.full((2, 1), 0.5).log())
    gain = _objective(Fixed(logits), played, torch.tensor([[1.0], [-1.0]]), PLAIN, 1.0)
    assert bool(torch.autograd.grad(gain, logits)[0].any()) is moves


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


def test_training_from_rewards_takes_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="takes one process: run it without `accelerate launch`"):
        train_from_reward(GRU(32, 3, input_rank=8), venv())


def test_a_run_that_is_killed_and_resumed_draws_the_same_actions(tmp_path: Path):
    """Bandits, whose actions decide what they are shown."""
    config = RewardConfig(steps=7, checkpoint_every=2)

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise RuntimeError

    def learner() -> RL2:
        return RL2(32, 3, width=8, input_rank=8)

    whole, again = learner(), learner()
    train_from_reward(whole, venv(feedback="reward"), config, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train_from_reward(learner(), venv(feedback="reward"), config, folder=tmp_path / "part", report=stop)
    assert latest_checkpoint(tmp_path / "part").name == "step-00000004"
    with pytest.raises(ValueError, match="holds a run already"):
        train_from_reward(learner(), venv(feedback="reward"), config, folder=tmp_path / "part")
    train_from_reward(again, venv(feedback="reward"), config, folder=tmp_path / "part", resume=True)
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(made.parameters()) for made in (whole, again)))
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "part")]
    assert texts[0] == texts[1] and texts[0].count("\n") == 7
