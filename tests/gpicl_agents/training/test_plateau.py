import gymnasium
import pytest
import torch

import gpicl_envs  # noqa: F401
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.plateau import Plateau, ask, first_and_last, questions
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


def test_the_plateau_ends_when_late_predictions_leave_chance():
    plateau = Plateau()
    assert not any(plateau.update(step, 0.1, 0.1 + 0.05 * (step % 2)) for step in range(100))  # noise
    left = [step for step in range(100, 200) if plateau.update(step, 0.1, 0.5)]
    assert len(left) == 1 and 100 <= left[0] < 120 and plateau.left_at == left[0]


def test_a_lucky_first_step_does_not_end_the_plateau():
    assert not Plateau().update(1, 0.0, 0.9)


def test_the_plateau_goes_on_from_its_state():
    whole, part = Plateau(), Plateau()
    gains = [0.1 + 0.01 * step for step in range(60)]
    for step, gain in enumerate(gains):
        whole.update(step, 0.1, gain)
        part.update(step, 0.1, gain)
        part = Plateau(part.state)
    assert whole.state == part.state and whole.left_at is not None


def test_first_and_last():
    correct = torch.zeros(2, 20, dtype=torch.bool)
    correct[:, 0] = torch.tensor([True, False])
    correct[:, -5:] = True
    assert first_and_last(correct) == (0.5, 0.5)


def test_three_questions_are_asked():
    tasks = TaskDistribution("Digits", n_tasks=4, length=12, n_features=32)
    config = TrainConfig(evaluate_seen=True, evaluate_datasets=("Clusters",))
    asked = questions(tasks, config)
    curves = ask(make_learner("knn", n_features=32), asked, episodes=6)
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
        questions(venv.unwrapped.tasks, TrainConfig(evaluate_datasets=("Klusters",)))
