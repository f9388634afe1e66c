"""Records that tests share: made up in no time, or of a real evaluation that is small."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Band, Estimate, FailedRecord, Record, ScoredRecord, SuiteClaim
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.suites.definitions import find_suite
from gpicl_envs.tasks.classification import TaskDistribution

TROUBLE = "<img src=x onerror=alert(1)> | $x_1$"


def scored_record(scores: Sequence[float] = (5, 6), *, final_positions: int = 10, **changes: Any) -> ScoredRecord:
    """A record of thirty positions, of whose final ones each episode has so many right."""
    values = np.asarray(scores, float)
    final = float(values.mean()) / final_positions
    length = len(changes["curve"].mean) if "curve" in changes else 30
    made: dict[str, Any] = {
        "learner": "a",
        "env": "GPICL-Digits-v0",
        "env_kwargs": {"length": 30},
        "protocol": "unseen-task",
        "seed": 0,
        "episodes": len(values),
        "provenance": Provenance("cpu"),
        "metric": "accuracy",
        "n_parameters": 0,
        "state_size": 10,
        "curve": Band([final] * 30, [final] * 30, [final] * 30),
        "final": Estimate(final, final, final),
        "area": Estimate(final, final, final),
        "final_positions": final_positions,
        "final_scores": values.tolist(),
        "area_scores": (length / final_positions * values).tolist(),
        "wall_seconds": 1.0,
    }
    return ScoredRecord(**made | changes)


def suite_record(learner: str, *, suite: str = "gpicl-table1", cell: str = "MNIST", **changes: Any) -> ScoredRecord:
    """A record of a suite's cell, with scores that depend on the learner's name."""
    found = find_suite(suite).cell(cell)
    scores = np.random.default_rng(len(learner)).binomial(found.final_positions, 0.6, found.episodes)
    made: dict[str, Any] = {
        "learner": learner,
        "spec": learner,
        "fingerprint": learner,
        "env": found.env,
        "env_kwargs": {"split": "test", "length": 100},
        "protocol": found.protocol,
        "seed": found.seed,
        "final_positions": found.final_positions,
        "suite": SuiteClaim(suite, cell, found.definition),
        "provenance": Provenance("cpu", date="2026-01-01"),
    }
    return scored_record(scores, **made | changes)


def failed_record(record: Record, why: str) -> FailedRecord:
    """The record of a failure in the place of another record."""
    return FailedRecord(**{field.name: getattr(record, field.name) for field in fields(Record)}, error=why)


def two_columns() -> list[ScoredRecord]:
    """Three learners on forty episodes of Digits and of Clusters; the last one's name is not harmless."""
    records = []
    for dataset, protocol in (("Digits", "unseen-task"), ("Clusters", "unseen-dataset")):
        tasks = TaskDistribution(dataset, split="test", length=30)
        learners = [make_learner(name) for name in ("knn", "centroid", "uniform")]
        *good, last = (c.record() for c in evaluate_all(learners, tasks, episodes=40, protocol=protocol))
        records += [*good, replace(last, learner=TROUBLE)]
    return records
