import re

import gymnasium
import pytest

from gpicl_agents.diagnosis import (
    GENERAL,
    INSTANCES,
    NOTHING,
    TASKS,
    diagnose,
    diagnose_learner,
    meta_training_kwargs,
)
from gpicl_agents.evaluations import NEW_EXAMPLES, Summary
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.supervised import train
from gpicl_envs.cli import main
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.evaluation.records import Band, Estimate
from gpicl_envs.learners.registry import make_learner


def result(first: float, final: float, width: float = 0.02) -> Summary:
    """What is kept of an evaluation, with intervals of ± width."""
    estimates = [Estimate(value, value - width, value + width) for value in (first, final, final - first)]
    return Summary(512, *estimates, accuracy=Band([], [], []))


@pytest.mark.parametrize(
    ("seen", "new", "unseen", "phase", "reason"),
    [
        ((0.1, 0.7), (0.1, 0.7), (0.1, 0.65), GENERAL, "unseen-task: 10 → 65 %, gain \\+55.0 \\[\\+53.0, \\+57.0\\]"),
        ((0.6, 0.9), (0.6, 0.9), (0.1, 0.1), TASKS, "seen-task: 60 → 90 %"),
        ((0.98, 0.99), (0.1, 0.1), (0.1, 0.1), INSTANCES, "98 % correct if seen .*, 10 % .* single examples$"),
        ((0.98, 0.99), (0.6, 0.6), (0.1, 0.1), INSTANCES, "60 % .*single examples, and something of their tasks"),
        ((0.98, 0.99), (0.97, 0.97), (0.1, 0.1), INSTANCES, "97 % .*remembers the tasks, not only their examples"),
        ((0.1, 0.11), (0.1, 0.1), (0.1, 0.1), NOTHING, "at chance \\(10 %\\)"),
        # The interval does not clear 5 points.
        ((0.1, 0.16), (0.1, 0.1), (0.1, 0.16), NOTHING, "gain \\+6.0 \\[\\+4.0"),
    ],
)
def test_the_diagnosis_follows_from_the_intervals(seen, new, unseen, phase, reason):
    found = diagnose({SEEN_TASK: result(*seen), NEW_EXAMPLES: result(*new), UNSEEN_TASK: result(*unseen)})
    assert found.phase == phase
    assert any(re.search(reason, text) for text in found.reasons), found.reasons


@pytest.mark.parametrize(
    "tasks", [["--env", "GPICL-Random-v0"], ["--env-kwargs", "class_imbalance=20", "n_features=64"]]
)
def test_a_learner_that_counts_labels_has_not_learned_to_learn(tasks: list[str], capsys):
    """Its accuracy rises by more than ten points in these episodes, all of it by counting."""
    main(["diagnose", "majority", *tasks, "--episodes", "128"])
    printed = capsys.readouterr().out
    assert "nothing learned yet" in printed and "gain +0.0 [-0.2, +0.2]" in printed
    main(["diagnose", "knn", *tasks, "--episodes", "128"])
    assert "general-purpose learning" in capsys.readouterr().out


def test_the_arguments_of_meta_training_come_from_the_checkpoint_and_may_be_given(tmp_path):
    venv = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, n_features=16, length=5, n_tasks=3)
    learner = make_learner("memoryless-mlp", n_features=16, width=8, seed=0)
    train(learner, venv, TrainConfig(steps=1, evaluate_every=0), folder=tmp_path / "run")
    kwargs = meta_training_kwargs(str(tmp_path / "run"))
    assert (kwargs["dataset"], kwargs["n_tasks"], kwargs["n_features"]) == ("Digits", 3, 16)
    assert meta_training_kwargs("knn") == {"dataset": "MNIST"}
    found = diagnose_learner(str(tmp_path / "run"), kwargs | {"n_tasks": None}, episodes=4)
    assert found.learner == "memoryless-mlp, meta-trained on unlimited tasks of Digits"
