import gymnasium
import pytest

import gpicl_envs  # noqa: F401
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.evaluation import find_protocols, learning_curves
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


def test_three_protocols_are_evaluated():
    tasks = TaskDistribution("Digits", n_tasks=4, length=12, n_features=32)
    config = TrainConfig(evaluate_seen=True, evaluate_datasets=("Clusters",))
    curves = learning_curves(make_learner("knn", n_features=32), find_protocols(tasks, config), episodes=6)
    assert {name: curve.protocol for name, curve in curves.items()} == {
        "unseen-task": "unseen-task",
        "seen-task": "seen-task",
        "Clusters": "unseen-dataset",
    }
    assert curves["seen-task"].tasks["n_tasks"] == 4 and curves["unseen-task"].tasks["n_tasks"] is None
    assert curves["Clusters"].tasks["split"] == "test" and curves["Clusters"].scores.shape == (6, 12)


def test_an_unknown_dataset_is_refused_before_training():
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2)
    with pytest.raises(ValueError, match="Unknown dataset 'Klusters'. Did you mean 'Clusters'"):
        find_protocols(venv.unwrapped.tasks, TrainConfig(evaluate_datasets=("Klusters",)))
