"""Learners against each other, from their records alone: paired differences, tests, regret, interquartile means.

All records compared were made on the same episodes, so every difference is paired. Needs no torch.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gpicl_envs.evaluation.metrics import BLOCK, Interval, bootstrap, interval, resampled_means

Record = dict[str, Any]
ORACLE = "oracle"
FLIPS = 9999
SIGNIFICANCE = 0.05


def knows_the_task(record: Record) -> bool:
    """Whether the record is the oracle's; a learner of that name is none."""
    return bool(record.get("spec") == ORACLE)


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
    return _sign_flip_p(_by_task(gain(record, reference), record.get("task_id")).tobytes(), seed)


@lru_cache(maxsize=4096)  # a report asks for the same ones several times
def _sign_flip_p(differences: bytes, seed: int) -> float:
    difference = np.frombuffer(differences, np.float64)
    sizes, counts = np.unique(np.abs(difference), return_counts=True)
    generator, seen = np.random.default_rng(seed), abs(difference.sum())
    rows, extreme = max(1, BLOCK // len(sizes)), 0
    for first in range(0, FLIPS, rows):
        shape = min(rows, FLIPS - first), len(sizes)
        if counts.max() == 1:
            sums = generator.integers(0, 2, shape, np.int8) @ (2 * sizes) - sizes.sum()
        else:
            sums = (2 * generator.binomial(counts, 0.5, size=shape) - counts) @ sizes
        extreme += int((np.abs(sums) >= seen - 1e-9).sum())
    return (1 + extreme) / (1 + FLIPS)


def _by_task(values: NDArray[np.float64], task_id: Sequence[int] | None) -> NDArray[np.float64]:
    """(E,) → sums over the episodes of each task; episodes of one-off tasks stand alone."""
    if task_id is None:
        return values
    ids = np.array(task_id)
    alone = values[ids < 0]
    _, place = np.unique(ids[ids >= 0], return_inverse=True)
    return np.concatenate([alone, np.bincount(place, values[ids >= 0])])


def holm(p_values: Sequence[float], count: int | None = None) -> list[float]:
    """Return the p-values corrected for the number of tests (Holm 1979).

    Args:
        p_values: of the tests.
        count: how many tests there are, if the p-values are not all of them.
    """
    order = np.argsort(p_values)
    adjusted, largest = np.empty(len(p_values)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, ((count or len(p_values)) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted.tolist()


def best(rows: Sequence[Record]) -> Record | None:
    """Return the best scored learner of a column; the oracle is none."""
    scored = [row for row in rows if row["status"] == "ok" and not knows_the_task(row)]
    return max(scored, key=lambda row: row["final"] if larger_is_better(row) else -row["final"], default=None)


def corrected_p_values(rows: Sequence[Record]) -> dict[str, float]:
    """Return learner → p against the best of the column, corrected over all pairs of the column.

    Over all pairs, since which learner is the best was found in the same episodes.
    """
    top = best(rows)
    others = [row for row in rows if row["status"] == "ok" and row is not top and not knows_the_task(row)]
    if top is None:
        return {}
    pairs = len(others) * (len(others) + 1) // 2
    p_values = holm([p_value(row, top) for row in others], pairs)
    return dict(zip((row["learner"] for row in others), p_values, strict=True))


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
