"""Statistics of learning curves, forgetting and relearning, and the bootstrap for those that are no means, in NumPy."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpicl_envs.evaluation.intervals import TAIL, Interval, accuracy_interval, mean_interval, task_numbers

LAST = 10  # number of final positions, unless a suite has another
RESAMPLES = 1000
BINS = 15  # of confidence, for the calibration error
BLOCK = 1 << 22  # resampling weights in memory at a time
ROUNDING = 1e-12  # of an accuracy; sums that are closer than this for each term are equal
KEPT = 1 << 24  # counts of one seed that are kept for the next interval: 32 MB

Array = NDArray[np.float64]


def percentile_interval(mean: Array, resampled: Array) -> Interval:
    """Return the 95 % percentile interval of a statistic from its (R, ...) values in the resamples."""
    low, high = np.quantile(resampled, [TAIL, 1 - TAIL], axis=0)
    return Interval(mean, low, high)


def resampled_means(values: ArrayLike, tasks: ArrayLike | None = None, *, seed: int = 0) -> Array:
    """Return the means (R, ...) of (E, ...) values in R resamples, by the hierarchical bootstrap.

    Tasks are drawn with replacement, then the episodes of each drawn task with replacement (Davison and Hinkley 1997,
    section 3.8). The weights are made in blocks, so that their memory does not grow with R · E.

    Args:
        values: (E, ...) a value for each episode.
        tasks: (E,) the task of each episode, negative for one-off tasks; by default all are one-off.
        seed: seed of the resampling.
    """
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        raise ValueError("No episodes: an interval needs at least one.")
    groups, generator = task_numbers(tasks, len(values)), np.random.default_rng(seed)
    flat = values.reshape(len(values), -1)
    kept = _kept_counts(groups.tobytes(), seed) if len(values) * RESAMPLES <= KEPT else None
    means, rows = np.empty((RESAMPLES, flat.shape[1])), max(1, BLOCK // len(values))
    for first in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - first)
        counts = _counts(groups, size, generator) if kept is None else kept[first : first + size]
        means[first : first + size] = counts.astype(np.float64) @ flat / counts.sum(1, keepdims=True)
    return means.reshape(RESAMPLES, *values.shape[1:])


@lru_cache(maxsize=8)
def _kept_counts(groups: bytes, seed: int) -> NDArray[np.uint16]:
    """All resamples at once: a report needs the same ones many times."""
    return _counts(np.frombuffer(groups, np.int64), RESAMPLES, np.random.default_rng(seed))


class Return(NamedTuple):
    """What remains of task A after task B, if an episode shows A, B and A again (`drift="return"`).

    Args:
        before: accuracy, or mean squared error, on the last n examples of the first segment.
        after: the same on the first n examples of the third.
        forgetting: how much worse `after` is than `before`; near 0 for a learner that keeps A, and what it had learned
            of A for one that keeps nothing.
        relearning: how much better `after` is than the first n examples of the episode, when A was new (the savings of
            Ebbinghaus 1885); 0 if nothing remains, negative if what B left is in the way.
    """

    before: Interval
    after: Interval
    forgetting: Interval
    relearning: Interval


def return_metrics(scores: ArrayLike, drift_every: int, tasks: ArrayLike | None = None, *, n: int = LAST) -> Return:
    """Return forgetting and relearning with their 95 % intervals over episodes, of paired differences.

    Args:
        scores: (E, N) bool, whether each prediction was correct, or real squared errors.
        drift_every: length of a segment; N must hold the first n examples of the third.
        tasks: (E,) the task of each episode, negative for one-off tasks; by default all are one-off.
        n: examples at the ends of segments, at most `drift_every`.
    """
    scores = np.asarray(scores)
    n = min(n, drift_every)
    if scores.shape[1] < 2 * drift_every + n:
        raise ValueError(
            f"Episodes of {scores.shape[1]} examples do not hold two segments of drift_every={drift_every} and {n} "
            f"examples after the return: give a length of at least {2 * drift_every + n}."
        )
    accuracies, values = scores.dtype == np.bool_, scores.astype(np.float64)
    before = values[:, drift_every - n : drift_every].mean(1)
    after, new = values[:, 2 * drift_every : 2 * drift_every + n].mean(1), values[:, :n].mean(1)
    sign = 1.0 if accuracies else -1.0

    def difference(one: Array, other: Array) -> Interval:
        bounds = (-1.0, 1.0) if accuracies else (-np.inf, np.inf)
        return mean_interval(sign * (one - other), tasks, step=1 / n if accuracies else 0.0, bounds=bounds)

    def level(one: Array) -> Interval:
        if accuracies:
            return accuracy_interval(one, tasks, positions=n)
        return mean_interval(one, tasks, bounds=(0.0, np.inf))

    return Return(level(before), level(after), difference(before, after), difference(after, new))


def calibration_error(bins: Array) -> Array:
    """Return the expected calibration error Σ_b abs(Σ confidence − Σ correct) / Σ count (Naeini et al. 2015).

    It is never negative, so chance keeps it above 0: about 0.02 for a perfect learner over 5,000 predictions.

    Args:
        bins: (..., 3, BINS) sums (or means) of confidence, of correct predictions and of predictions, by confidence.
    """
    confidence, correct, count = np.moveaxis(bins, -2, 0)
    return np.abs(confidence - correct).sum(-1) / count.sum(-1)


def examples_to(curves: Array, level: float) -> Array:
    """Return the number of examples seen before accuracy (..., N) first reaches `level`; inf if it never does.

    A noisy curve crosses any level too early, so each is replaced by the nearest non-decreasing curve (isotonic
    regression, Barlow et al. 1972). That curve need not be made: it reaches `level` where the sums of
    accuracy − level are smallest, the first time if there are several, and never if that is after the last example.
    """
    sums = np.zeros((*curves.shape[:-1], curves.shape[-1] + 1))
    np.cumsum(curves - level, axis=-1, out=sums[..., 1:])
    smallest = sums <= sums.min(-1, keepdims=True) + ROUNDING * curves.shape[-1]
    first = smallest.argmax(-1)
    return np.where(first < curves.shape[-1], first, np.inf)


def columns(parts: Sequence[ArrayLike]) -> Array:
    """Return (E, C): arrays (E, ...), flattened and side by side, so that one resampling serves them all."""
    return np.concatenate([np.asarray(part, np.float64).reshape(len(np.asarray(part)), -1) for part in parts], axis=1)


def _counts(groups: NDArray[np.int64], resamples: int, generator: np.random.Generator) -> NDArray[np.uint16]:
    """(R, E) how often each episode is in each resample."""
    n_episodes, n_groups = len(groups), int(groups.max()) + 1
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=n_groups)
    starts = sizes.cumsum() - sizes
    counts = np.empty((resamples, n_episodes), np.uint16)
    for count in counts:
        drawn = generator.integers(n_groups, size=n_groups)
        of_episode = np.repeat(drawn, sizes[drawn])  # the drawn task of each episode slot
        within = (generator.random(len(of_episode)) * sizes[of_episode]).astype(np.int64)
        count[:] = np.bincount(order[starts[of_episode] + within], minlength=n_episodes)
    return counts
