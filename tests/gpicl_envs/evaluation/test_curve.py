import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from gpicl_envs.datasets import Dataset
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.report import group, markdown_table
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.oracle import Oracle
from gpicl_envs.tasks.regression import FunctionDistribution


def test_a_record_becomes_json_and_says_how_it_was_made(tasks: TaskDistribution):
    record = evaluate(make_learner("knn"), tasks, episodes=20, seed=7, protocol="unseen-dataset").record()
    assert json.loads(json.dumps(asdict(record)))["final"] == list(record.final)
    assert record.env == "GPICL-Digits-v0" and record.protocol == "unseen-dataset" and record.seed == 7
    assert record.env_kwargs["length"] == 30 and record.episodes == 20 and record.state_size == 29 * 785
    assert len(record.curve.mean) == len(record.curve.low) == len(record.nll) == 30
    assert sum(record.final_scores) / 200 == pytest.approx(record.final.mean, abs=1e-5)
    assert record.provenance.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record.provenance.device == "cpu" and "cores" in record.provenance.machine and record.provenance.date


def test_numbered_tasks_are_kept_for_the_bootstrap():
    tasks = TaskDistribution("Digits", n_tasks=3, length=10)
    record = evaluate(make_learner("knn"), tasks, episodes=30, protocol="seen-task").record()
    assert set(record.task_id) == {0, 1, 2}


def test_a_record_of_data_without_an_id_names_them():
    x, y = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    mine = Dataset("my pictures", {"test": x}, {"test": y}, n_classes=3)
    tasks = TaskDistribution(mine, split="test", n_classes=3, n_features=4, length=12)
    record = evaluate(make_learner("knn", n_features=4, n_classes=3), tasks, episodes=4).record()
    assert record.env == "GPICL-Array-v0" and record.env_kwargs["dataset"] == "my pictures"
    assert list(group([record])) == ["my pictures, unseen-task"]


def test_calibration_area_and_likelihood_are_those_of_their_definitions(tasks: TaskDistribution):
    record = evaluate(make_learner("ridge"), tasks, episodes=60, seed=3).record()
    episodes = tasks.sample(60, seed=3)
    logits = make_learner("ridge").predict(episodes.x, episodes.y)[:, -10:]
    confidence, chosen = logits.softmax(2).max(2)
    right = (chosen == episodes.y[:, -10:]).float().flatten()
    place = (confidence.flatten() * 15).long().clamp_max(14)
    gaps = [(confidence.flatten() - right)[place == b].sum().abs().item() for b in range(15)]
    assert record.ece.mean == pytest.approx(sum(gaps) / 600, abs=1e-4)
    assert record.ece.low <= record.ece.mean <= record.ece.high
    assert sum(record.reliability.count) == 600
    assert record.area.mean == pytest.approx(np.mean(record.curve.mean), abs=1e-5)
    assert sum(record.area_scores) == pytest.approx(60 * 30 * record.area.mean, abs=0.05)
    assert record.final_nll.mean == pytest.approx(np.mean(record.nll[-10:]), abs=1e-4)
    first = next(n for n, accuracy in enumerate(record.curve.mean) if accuracy >= 0.5)
    n, low, high = record.examples_to["0.5"]
    assert n == first and low <= n <= high


def test_a_hundred_thousand_episodes_keep_five_bytes_a_prediction():
    """Scores, likelihoods and bins of E = 2,000 episodes of N = 100: what grows with E."""
    tasks = TaskDistribution("Clusters", split="test", n_features=8, length=100)
    curve = evaluate(make_learner("uniform", n_features=8), tasks, episodes=2000, batch_size=200)
    kept = curve.scores.nbytes + curve.likelihood.nll.nbytes + curve.likelihood.bins.nbytes
    assert kept == 2000 * (5 * 100 + 4 * 45)


def test_the_interval_of_the_calibration_error_surrounds_it_though_resampling_adds_to_it(tasks: TaskDistribution):
    """Of 20 episodes, nearly all resampled errors are above the error itself: their mean excess is subtracted."""
    ece = evaluate(make_learner("ridge"), tasks, episodes=20).record().ece
    assert ece.low < ece.mean < ece.high
    assert (ece.low + ece.high) / 2 == pytest.approx(ece.mean, rel=0.1)


def test_too_few_episodes_or_tasks_are_noted_in_record_and_table():
    few = TaskDistribution("Digits", n_tasks=3, length=10)
    record = evaluate(make_learner("knn"), few, episodes=30).record()
    assert record.interval_note == "3 tasks, fewer than 16, so the intervals are wide, and less sure than 95 %"
    assert f"Note: Digits, seen-task has {record.interval_note}." in markdown_table(group([record]))
    enough = evaluate(make_learner("knn"), TaskDistribution("Digits", length=10), episodes=16).record()
    assert enough.interval_note == "" and "Note:" not in markdown_table(group([enough]))
    assert "binomial" in enough.interval_method


def test_one_episode_of_labels_has_a_record_and_one_of_values_is_refused_with_what_to_do():
    one = evaluate(make_learner("knn"), TaskDistribution("Digits", length=10), episodes=1).record()
    assert one.final[1:] == (0, 1) and one.ece is None and one.final_nll is None and one.interval_note
    tasks = FunctionDistribution("LinearRegression", length=5)
    curve = evaluate(make_learner("ridge", n_features=20, n_classes=1), tasks, episodes=1)
    with pytest.raises(ValueError, match="at least 2 episodes"):
        curve.record()
    record = evaluate(make_learner("ridge", n_features=20, n_classes=1), tasks, episodes=2).record()
    assert record.final.low >= 0 and np.isfinite(record.curve.high).all()


class RemembersTwenty(Learner):
    """The nearest neighbour among the last twenty examples."""

    name = "remembers-twenty"

    def __init__(self) -> None:
        super().__init__(n_features=64, n_classes=10)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        knn = make_learner("knn", n_features=64)
        rows = [slice(max(0, n - 20), n + 1) for n in range(x.shape[1])]
        return torch.stack([knn.predict(x[:, row], y[:, row])[:, -1] for row in rows], 1)


def test_an_oracle_forgets_nothing_and_a_learner_whose_memory_is_shorter_than_b_all():
    tasks = TaskDistribution("Clusters", split="test", length=90, n_features=64, drift_every=30, drift="return")
    oracle, short, long = (
        evaluate(one, tasks, episodes=200) for one in (Oracle(), RemembersTwenty(), make_learner("knn", n_features=64))
    )
    kept = oracle.record()
    assert kept.forgetting.low <= 0 <= kept.forgetting.high and abs(kept.forgetting.mean) < 0.02
    lost = short.returned
    assert lost.forgetting.low > 0.1
    assert lost.relearning.low <= 0 and lost.relearning.high < 0.05  # it starts as if A were new
    assert long.returned.relearning.low > 0.1
    assert short.returned.forgetting.low > long.returned.forgetting.high
    assert evaluate(Oracle(), TaskDistribution("Clusters", length=20), episodes=3).record().forgetting is None
    brief = TaskDistribution("Clusters", length=61, n_features=64, drift_every=30, drift="return")
    assert evaluate(Oracle(), brief, episodes=3).returned is None  # one example after the return
