import numpy as np
import pytest
import torch

from gpicl_agents.evaluations import (
    OnlySeen,
    find_available,
    new_examples,
    seen_tasks,
    summarize,
    summarize_values,
    unseen_dataset,
    unseen_tasks,
)
from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.regression import FunctionDistribution

META_TRAINING = {"dataset": "Digits", "n_features": 16, "length": 12, "n_tasks": 4, "examples_per_task": 20}


def curve(first: float, final: float, episodes: int = 1000) -> LearningCurve:
    """One prediction at the first position, ten at the last ones."""
    right = np.arange(episodes) / episodes
    scores = np.stack([right < first, *[right < final] * 10], axis=1)
    names = {"learner": "a", "env_id": "GPICL-Digits-v0", "protocol": "unseen-task", "device": "cpu"}
    sizes = {"n_parameters": 0, "state_size": 0, "seed": 0, "wall_seconds": 0.0, "tasks": {}, "data": None}
    task_id = np.full(episodes, -1)
    return LearningCurve(metric="accuracy", scores=scores, likelihood=None, task_id=task_id, **names, **sizes)


def test_a_summary_holds_the_means_and_their_intervals():
    summary = summarize(curve(0.1, 0.7))
    assert summary.episodes == 1000 and len(summary.accuracy.mean) == 11
    assert (summary.first.mean, summary.final.mean, summary.gain.mean) == (0.1, 0.7, pytest.approx(0.6))
    standard_error = (0.1 * 0.9 / 1000) ** 0.5
    assert summary.first.high - summary.first.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    assert summary.accuracy.low[0] <= 0.1 <= summary.accuracy.high[0]


def test_the_gain_of_a_baseline_is_subtracted():
    assert summarize(curve(0.1, 0.7), curve(0.1, 0.4)).gain.mean == pytest.approx(0.3)


def test_each_evaluation_shows_what_its_name_says():
    evaluations = [seen_tasks(8), new_examples(8), unseen_tasks(8), unseen_dataset("Random", 8)]
    available, missing = find_available(evaluations, META_TRAINING)
    assert not missing
    seen, new, unseen, other = (tasks for _, tasks in available)
    assert (seen.n_tasks, seen.split) == (4, "train") and (new.n_tasks, new.split) == (4, "test")
    assert (unseen.n_tasks, unseen.split) == (None, "test") and unseen.arguments["dataset"] == "Digits"
    assert other.arguments["dataset"] == "Random" and other.n_tasks is None


def test_only_an_unseen_dataset_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path))
    available, missing = find_available([unseen_dataset("SVHN"), seen_tasks()], META_TRAINING)
    assert [evaluation.name for evaluation, _ in available] == ["seen-task"]
    assert isinstance(missing["SVHN"], MissingDataError)
    with pytest.raises(MissingDataError):
        find_available([seen_tasks()], META_TRAINING | {"dataset": "SVHN"})


def test_only_seen_labels_may_be_answered_and_before_the_first_any():
    learner = OnlySeen(make_learner("uniform", n_features=2, n_classes=4))
    y = torch.tensor([[2, 0, 2, 1]])
    probabilities = learner.predict(torch.zeros(1, 4, 2), y).softmax(2)[0].tolist()
    assert probabilities == [[0.25] * 4, [0, 0, 1, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0]]
    check_learner(OnlySeen(make_learner("knn", n_features=4, n_classes=3)))
    assert (learner.name, learner.state_size(9)) == ("uniform", 0)


def test_values_are_summed_up_in_units_of_the_variance_at_each_position():
    tasks = FunctionDistribution(length=12, n_features=3, noise=0.5, split="test")
    learners = [make_learner(name, tasks=tasks) for name in ("ridge", "uniform")]
    ridge, zero = evaluate_all(learners, tasks, episodes=64, references={"itself": learners[0]})
    summary = summarize_values(ridge, zero, zero.mean)
    assert summary.error.mean == pytest.approx((ridge.mean / zero.mean).tolist(), abs=1e-3)
    assert summary.accuracy.mean == pytest.approx((1 - ridge.mean / zero.mean).tolist(), abs=1e-3)
    assert summary.error.mean[0] == 1 and summary.error.low[-1] < summary.error.mean[-1] < summary.error.high[-1] < 0.5
    assert summary.distances["itself"].mean == pytest.approx(0, abs=1e-4)
