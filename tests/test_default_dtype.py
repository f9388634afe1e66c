"""Under `torch.set_default_dtype(torch.float64)` episodes stay float32, models are made in float64, and all work."""

import numpy as np
import pytest
import torch
from playing import returns
from small_training import small_env
from torch_surroundings import default_dtype

from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.supervised import train
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import LearnerSpec, learner_targets
from gpicl_envs.rl.kinds import PROBLEMS
from gpicl_envs.rl.players.registry import make_player, players_of
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution

SMALL = {"width": 16, "input_rank": 8, "size": 4}  # what a constructor lacks is left out
OF_VALUES = ("knn", "ridge", "kernel-ridge", "majority", "least-squares", "dmmse")


@pytest.mark.parametrize("name", sorted(learner_targets().keys() - {"least-squares", "dmmse"}))
def test_every_learner_is_checked_trained_and_evaluated(name: str):
    """Predict and step agree; what has no weights scores the same as ever."""
    tasks = TaskDistribution("Digits", split="test", length=10, n_features=32)
    plain = evaluate(LearnerSpec.parse(name).make_for(tasks, **SMALL), tasks, episodes=8)
    with default_dtype(torch.float64):
        learner = LearnerSpec.parse(name).make_for(tasks, **SMALL)
        check_learner(learner, batch_size=2, length=6)
        if isinstance(learner, torch.nn.Module) and learner.n_parameters:
            trained = train(learner, small_env(2), TrainConfig(steps=2, warmup_steps=1))
            assert trained.step == 2
        curve = evaluate(learner, tasks, episodes=8)
    assert np.isfinite(curve.likelihood.nll).all()
    if not curve.n_parameters:
        assert np.array_equal(curve.scores, plain.scores)


@pytest.mark.parametrize("name", OF_VALUES)
def test_every_learner_of_values_is_checked_and_evaluated(name: str):
    tasks = FunctionDistribution("LinearRegression", length=10)
    plain = evaluate(LearnerSpec.parse(name).make_for(tasks, **SMALL), tasks, episodes=8)
    with default_dtype(torch.float64):
        learner = LearnerSpec.parse(name).make_for(tasks, **SMALL)
        check_learner(learner, batch_size=2, length=6)
        assert np.allclose(evaluate(learner, tasks, episodes=8).scores, plain.scores, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "feedback"), [("transformer", "label"), ("rl2", "reward"), ("rl2-transformer", "reward")]
)
def test_training_from_reward(name: str, feedback: str):
    with default_dtype(torch.float64):
        env = small_env(2, feedback=feedback)
        learner = LearnerSpec.parse(name).make_for(env.unwrapped.tasks, **SMALL)
        assert train_from_reward(learner, env, RewardConfig(steps=2)).step == 2


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_player_plays_as_ever(problem: str):
    made = PROBLEMS[problem]()
    for name in players_of(problem):
        plain = returns(make_player(name, made), made, 3)
        with default_dtype(torch.float64):
            assert torch.equal(returns(make_player(name, made), made, 3), plain)
