"""Training on functions: what differs from labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from small_training import QUICK, metrics, weights

from gpicl_agents.training.checkpoint import load_learner
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import learner_targets

SEQUENCE_MODELS = [
    name
    for name, target in learner_targets().items()
    if target.startswith("gpicl_agents") and not name.startswith("rl2")
]
FUNCTIONS = ("LinearRegression", "SparseLinearRegression", "TwoLayerNetwork", "DecisionTree")


def made(learner: str = "gated-deltanet,width=16,n_heads=1", batch: int = 4, **arguments: Any) -> tuple[Any, Any]:
    """A learner and the linear functions to train it on."""
    env = f"GPICL-{arguments.pop('function', 'LinearRegression')}-v0"
    return set_up(learner, batch_size=batch, env=env, env_kwargs={"n_features": 4, "length": 9} | arguments)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_every_sequence_model_trains_on_functions(name: str, precision: Any):
    learner, venv = made(name)
    config = TrainConfig(steps=2, learning_rate=0.01, warmup_steps=0, precision=precision, evaluate_every=0)
    progress = train(learner, venv, config)
    assert 0.1 < progress.loss < 10 and progress.accuracy != progress.accuracy
    check_learner(learner)
    x = torch.randn(1, 6, 4)
    assert learner.predict(x, x[..., 0]).any()  # no longer the zeros that it began with


def test_the_loss_of_predicting_nothing_is_1_whatever_the_functions():
    for function in FUNCTIONS:
        losses = []
        learner, venv = made(batch=1024, function=function, n_features=8)
        config = TrainConfig(steps=1, evaluate_every=0)
        progress = train(learner, venv, config, report=lambda p, losses=losses: losses.append(p.loss))
        assert losses == [pytest.approx(1.0, rel=0.15)] and progress.explained == pytest.approx(0.0, abs=1e-6)


def test_training_learns_linear_functions(tmp_path: Path):
    """Well beyond predicting 0, and towards ridge regression; the error by position falls on unseen functions."""
    learner, venv = made("gated-deltanet,width=32,n_heads=1", batch=32, length=20, noise=0.5)
    config = TrainConfig(
        steps=200, learning_rate=1e-2, warmup_steps=20, evaluate_every=100, evaluate_episodes=256, schedule="linear"
    )
    progress = train(learner, venv, config, folder=tmp_path)
    variance = 4.0
    assert progress.curve.mean[0] == pytest.approx(variance, rel=0.35)  # nothing is known yet
    assert progress.curve.final.mean < 0.35 * variance and progress.explained > 0.6
    kept = [line for line in metrics(tmp_path) if "unseen-task_final" in line]
    distances = [line["unseen-task_distance_to_optimal-ridge"] for line in kept]
    assert len(distances) == 2 and distances[1] < 0.2 * variance
    assert kept[1]["unseen-task_squared_error"] == progress.curve.mean.round(4).tolist()
    assert progress.plateau_end is not None and "explained" in metrics(tmp_path)[0]


def test_noise_alone_does_not_end_the_plateau():
    """One learning rate so small that nothing is learned; the errors themselves differ by far more than the gain."""
    learner, venv = made(batch=2)
    assert train(learner, venv, TrainConfig(steps=60, learning_rate=1e-9, evaluate_every=0)).plateau_end is None


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path):
    config = replace(QUICK, steps=9)
    whole, venv = made()
    train(whole, venv, config)
    part, venv = made()
    with pytest.raises(KeyboardInterrupt):
        train(part, venv, config, folder=tmp_path, report=lambda progress: _stop_at(5, progress))
    again, venv = made()
    assert train(again, venv, config, folder=tmp_path, resume=True).step == 9
    assert torch.equal(weights(again), weights(whole))
    assert load_learner(tmp_path).value_scale == 2.0  # of the variance 4


def _stop_at(step: int, progress: Progress) -> None:
    if progress.step == step:
        raise KeyboardInterrupt


def test_the_target_is_an_error_to_fall_to(tmp_path: Path):
    learner, venv = made()
    assert train(learner, venv, replace(QUICK, target=1e3)).stopped == "target"
    assert train(*made(), replace(QUICK, target=1e-6), folder=tmp_path).step == 12
    reached = train(*made(), replace(QUICK, target=1e3), folder=tmp_path, resume=True)
    assert (reached.step, reached.stopped) == (12, "target")


def test_a_target_above_1_is_no_accuracy():
    venv = gymnasium.make_vec("GPICL-Clusters-v0", num_envs=2, n_features=16, length=5)
    learner = set_up("gru,width=8", batch_size=2, env="GPICL-Clusters-v0", env_kwargs={"n_features": 16})[0]
    with pytest.raises(ValueError, match="target=1.5"):
        train(learner, venv, TrainConfig(steps=1, target=1.5))


def test_rewards_of_values_are_refused():
    learner, venv = made()
    with pytest.raises(ValueError, match="not regression: actions are labels"):
        train_from_reward(learner, venv)
