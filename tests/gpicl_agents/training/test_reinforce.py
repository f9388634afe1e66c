import json
from pathlib import Path

import gymnasium
import pytest
import torch

import gpicl_envs  # noqa: F401
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.rl2 import RL2
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import load_learner
from gpicl_agents.training.reinforce import RewardConfig, returns, roll_out, train_from_reward
from gpicl_envs.learners.registry import make_learner

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


def test_labels_that_are_not_paid_teach_nothing():
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
        (lambda: (GRU(32, 4, input_rank=8), venv()), "n_classes=4, but the environment has 3"),
        (lambda: (RL2(32, 3, input_rank=8), venv()), "feedback='reward'"),
    ],
    ids=["learner", "action", "batch", "classes", "feedback"],
)
def test_what_cannot_be_trained_is_told_so(make, message: str):
    with pytest.raises(ValueError, match=message):
        train_from_reward(*make())


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"discount": 1.5}, {"learning_rate": -1.0}, {"clip": 0}], ids=str)
def test_bad_settings_are_refused(arguments: dict):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RewardConfig(**arguments)


def test_rl2_trains_on_bandit_feedback():
    progress = train_from_reward(RL2(32, 3, width=16, input_rank=8), venv(feedback="reward"), RewardConfig(steps=2))
    assert progress.step == 2
