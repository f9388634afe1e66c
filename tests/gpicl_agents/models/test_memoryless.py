import gymnasium
import pytest
import torch
from model_checks import perturbed

from gpicl_agents.models.memoryless import MemorylessMLP
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.tasks.classification import TaskDistribution


def test_the_memoryless_mlp_predicts_from_the_current_input_alone():
    learner = perturbed(MemorylessMLP(20, 4, width=8), 0.3)
    x, y = torch.randn(1, 6, 20), torch.tensor([[0, 1, 2, 3, 0, 1]])
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(learner.predict(x[:, order], y)[0], learner.predict(x, (y + 1) % 4)[0, order], atol=1e-6)


def test_the_fixed_classifier_knows_one_task_and_no_other():
    """The paper's frozen classifier: a memoryless network trained on a single task, whose weights never change."""
    one = {"n_tasks": 1, "length": 20, "n_features": 64}
    learner = MemorylessMLP(64)
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=16, **one)
    train(learner, venv, TrainConfig(steps=150, learning_rate=3e-3, evaluate_every=0))
    seen = evaluate(learner, TaskDistribution("Digits", **one), episodes=50, protocol="seen-task")
    unseen = evaluate(learner, TaskDistribution("Digits", **one | {"n_tasks": None, "split": "test"}), episodes=50)
    assert seen.scores.mean() > 0.7 and unseen.scores.mean() == pytest.approx(0.1, abs=0.04)
