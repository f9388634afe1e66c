"""Learners against each other, from their records alone: paired differences, tests, regret, interquartile means.

All records compared were made on the same episodes, so every difference is paired. Needs no torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gpicl_envs.metrics import BLOCK, Interval, bootstrap, interval, resampled_means

Record = dict[str, Any]
ORACLE = "oracle"
FLIPS = 9999
SIGNIFICANCE = 0.05


def larger_is_better(record: Record) -> bool:
    """Whether the record's metric is an accuracy; a squared error is better if smaller."""
    return record["metric"] == "accuracy"


def gain(record: Record, reference: Record, scores: str = "final_scores") -> NDArray[np.float64]:
    """(E,) what the record has over the reference in each episode, summed over positions; positive is better."""
    difference = np.array(record[scores], np.float64) - np.array(reference[scores], np.float64)
    return difference if larger_is_better(record) else -difference


def compare(record: Record, reference: Record) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the difference in the final metric, paired on the same episodes."""
    difference = np.array(record["final_scores"], np.float64) - np.array(reference["final_scores"], np.float64)
    values = bootstrap(difference / record["final_positions"], record.get("task_id"))
    return float(values.mean), float(values.low), float(values.high)


def p_value(record: Record, reference: Record, *, seed: int = 0) -> float:
    """Return the two-sided p of no difference in the final metric, by a sign-flip permutation test.

    Under the null hypothesis the difference of each task is as likely to have the other sign (Fisher 1935). Differences
    of one size are flipped together: the number of those that stay positive is binomial, which is exact.
    """
    difference = _by_task(gain(record, reference), record.get("task_id"))
    sizes, counts = np.unique(np.abs(difference), return_counts=True)
    generator, seen = np.random.default_rng(seed), abs(difference.sum())
    rows, extreme = max(1, BLOCK // len(sizes)), 0
    for first in range(0, FLIPS, rows):
        positive = generator.binomial(counts, 0.5, size=(min(rows, FLIPS - first), len(sizes)))
        extreme += int((np.abs((2 * positive - counts) @ sizes) >= seen - 1e-9).sum())
    return (1 + extreme) / (1 + FLIPS)


def _by_task(values: NDArray[np.float64], task_id: Sequence[int] | None) -> NDArray[np.float64]:
    """(E,) → sums over the episodes of each task; episodes of one-off tasks stand alone."""
    if task_id is None:
        return values
    ids = np.array(task_id)
    alone = values[ids < 0]
    _, place = np.unique(ids[ids >= 0], return_inverse=True)
    return np.concatenate([alone, np.bincount(place, values[ids >= 0])])


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979)."""
    order = np.argsort(p_values)
    adjusted, largest = np.empty(len(p_values)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted.tolist()


def best(rows: Sequence[Record]) -> Record | None:
    """Return the best scored learner of a column; the oracle is none."""
    scored = [row for row in rows if row["status"] == "ok" and row["learner"] != ORACLE]
    return max(scored, key=lambda row: row["final"] if larger_is_better(row) else -row["final"], default=None)


def corrected_p_values(rows: Sequence[Record]) -> dict[str, float]:
    """Return learner → p against the best of the column, corrected over all comparisons of the column."""
    top = best(rows)
    others = [row for row in rows if row["status"] == "ok" and row is not top and row["learner"] != ORACLE]
    if top is None:
        return {}
    return dict(zip((row["learner"] for row in others), holm([p_value(row, top) for row in others]), strict=True))


def best_baseline(rows: Sequence[Record]) -> Record | None:
    """Return the best learner of a column that nothing was meta-trained in."""
    return best([row for row in rows if row["status"] == "ok" and row["n_parameters"] == 0])


def regret(record: Record, reference: Record) -> Interval:
    """Return what is lost against the reference over a whole episode: right answers, or added squared error."""
    return bootstrap(-gain(record, reference, "area_scores"), record.get("task_id"))


def interquartile_mean(records: Sequence[Record]) -> Interval:
    """Return the mean over the middle half of the datasets of one learner's final accuracy (Agarwal et al. 2021).

    The interval resamples the tasks and episodes of each dataset separately (stratified bootstrap).
    """
    finals = [np.array(record["final_scores"], np.float64) / record["final_positions"] for record in records]
    tasks = [record.get("task_id") for record in records]
    resampled = np.stack(
        [resampled_means(*pair, seed=seed) for seed, pair in enumerate(zip(finals, tasks, strict=True))]
    )
    mean = stats.trim_mean([values.mean() for values in finals], 0.25)
    return interval(np.asarray(mean), stats.trim_mean(resampled, 0.25, axis=0))
