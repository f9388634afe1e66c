"""95 % intervals of means over episodes, of accuracies and of real values, in closed form.

The episodes of one task are not independent, so the spread is that of the tasks; each episode of a one-off task counts
as a task. `benchmarks/interval_coverage.py` measures how often the intervals hold the truth.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, stdtrit

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
FEW = 16  # tasks, or episodes of one-off tasks, below which a note says so
METHOD = "effective binomial for accuracies, Student's t corrected for skewness for other values"
OBSERVED = 0.6  # of the probability of the observed outcome; mid-P's 0.5 lets coverage fall to 92.3 %
ROUNDS = 40  # of bisection
ROUNDING = 1e-12
LEAST_SKEWNESS = 1e-6  # below it, rounding would outweigh the correction

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the ends of its interval; scalars or one value for each position."""

    mean: Array
    low: Array
    high: Array

    def __str__(self) -> str:
        """Such as `0.733 [0.707, 0.758]` for scalars."""
        if np.ndim(self.mean):
            return repr(self)
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def accuracy_interval(correct: ArrayLike, tasks: ArrayLike | None = None, *, positions: int = 1) -> Interval:
    """Return the mean accuracy over episodes with its 95 % interval.

    That of a binomial fraction with as many predictions as would vary as much as these do: more than the episodes if
    the predictions of an episode are independent, fewer if the tasks differ (Korn and Graubard 1998). The binomial
    interval is the mid-P interval, made a little wider (`OBSERVED`). If all predictions are correct, or none, nothing
    tells how alike those of an episode are, so each episode counts as one prediction. One episode alone has [0, 1].

    Args:
        correct: (E, ...) fraction of correct predictions in each episode.
        tasks: (E,) the task of each episode, negative for one-off tasks; by default all are one-off. If there is only
            one task, the interval is over its episodes.
        positions: number of predictions that each fraction is of.
    """
    mean, n = _effective(*_totals(correct, tasks), positions)
    return Interval(mean[()], _lowest(mean, n)[()], 1 - _lowest(1 - mean, n)[()])


def accuracy_draws(
    correct: ArrayLike, tasks: ArrayLike | None = None, *, positions: int = 1, seed: int = 0, count: int = 1000
) -> Array:
    """Return accuracies (count, ...) as likely as `accuracy_interval` says, for statistics of several accuracies.

    They are of the Beta distribution that Jeffreys' prior gives; other arguments are those of `accuracy_interval`.
    """
    mean, n = _effective(*_totals(correct, tasks), positions)
    generator = np.random.default_rng(seed)
    return generator.beta(mean * n + 0.5, (1 - mean) * n + 0.5, (count, *np.shape(mean)))


def mean_interval(
    values: ArrayLike,
    tasks: ArrayLike | None = None,
    *,
    step: float = 0.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return the mean over episodes with its 95 % interval, for real values: squared errors, or paired differences.

    Student's interval over the tasks, corrected for skewness (Hall 1992). Where values come in steps, most of them may
    be equal by chance; then a pair of further episodes, one step above and one below zero, widens the interval as
    Bonett and Price (2012) do for paired proportions. One episode alone has the bounds.

    Args:
        values: (E, ...) a value for each episode.
        tasks: (E,) the task of each episode, as for `accuracy_interval`.
        step: by how much the value of an episode can change at least; 0 for real values.
        bounds: between which every value lies.
    """
    totals, sizes = _totals(values, tasks)
    mean, count = totals.sum(0) / sizes.sum(), len(sizes)
    if count == 1:
        return Interval(mean, np.full_like(mean, bounds[0]), np.full_like(mean, bounds[1]))
    if step:
        totals = np.concatenate([totals, [np.full_like(mean, step), np.full_like(mean, -step)]])
        sizes = np.append(sizes, [1, 1])
    center, residual = _residuals(totals, sizes)
    spread = np.sqrt((residual**2).mean(0))
    skewness = (residual**3).mean(0) / np.where(spread > 0, spread, 1) ** 3
    error = spread * np.sqrt(len(sizes) * count / (count - 1)) / sizes.sum()
    quantile = stdtrit(count - 1, 1 - TAIL)
    low = center - error * _unskewed(quantile, skewness, len(sizes))
    high = center - error * _unskewed(-quantile, skewness, len(sizes))
    return Interval(mean, np.minimum(mean, low).clip(*bounds), np.maximum(mean, high).clip(*bounds))


def task_numbers(tasks: ArrayLike | None, n_episodes: int) -> NDArray[np.int64]:
    """Return (E,) task numbers 0 … T − 1; each episode of a one-off task (negative, or None) has its own."""
    if tasks is None:
        return np.arange(n_episodes)
    tasks = np.asarray(tasks, np.int64)
    own = tasks.max(initial=0) + 1 + np.arange(n_episodes)
    return np.unique(np.where(tasks < 0, own, tasks), return_inverse=True)[1]


def few_note(tasks: ArrayLike | None, n_episodes: int) -> str:
    """Return a phrase for tables if the episodes, or their tasks, are too few for sure intervals; otherwise ""."""
    if n_episodes == 1:
        return "one episode, so the intervals say nothing"
    numbers = task_numbers(tasks, n_episodes)
    count = int(numbers.max()) + 1
    if count == 1:
        return "one task, so the intervals are over its episodes alone"
    if count >= FEW:
        return ""
    kind = "episodes" if count == n_episodes else "tasks"
    return f"{count} {kind}, fewer than {FEW}, so the intervals are wide, and less sure than 95 %"


def _totals(values: ArrayLike, tasks: ArrayLike | None) -> tuple[Array, Array]:
    """(E, ...) → (T, ...) sums over the episodes of each task, and (T,) numbers of episodes."""
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        raise ValueError("No episodes: an interval needs at least one.")
    numbers = task_numbers(tasks, len(values))
    sizes = np.bincount(numbers)
    if len(sizes) in (1, len(values)):  # the episodes of one task alone, or of one-off tasks
        return values, np.ones(len(values))
    first = sizes.cumsum() - sizes
    return np.add.reduceat(values[np.argsort(numbers, kind="stable")], first, axis=0), sizes.astype(np.float64)


def _residuals(totals: Array, sizes: Array) -> tuple[Array, Array]:
    """The mean (...), and what the total of each task (T, ...) has beyond the mean of so many episodes."""
    mean = totals.sum(0) / sizes.sum()
    return mean, totals - sizes.reshape(-1, *[1] * mean.ndim) * mean


def _effective(totals: Array, sizes: Array, positions: int) -> tuple[Array, Array]:
    """The accuracy (...), and the number of independent predictions that would be as sure of it."""
    mean, residual = _residuals(totals, sizes)
    count, episodes = len(sizes), float(sizes.sum())
    at_end = np.abs(mean - 0.5) > 0.5 - ROUNDING
    mean = np.where(at_end, np.round(mean), mean)
    if count == 1:
        return mean, np.zeros_like(mean)
    predictions = np.where(at_end, episodes, episodes * positions)
    variance = (residual**2).sum(0) * count / (count - 1) / episodes**2
    binomial = np.where(at_end, 1.0, mean * (1 - mean)) / (predictions - 1)
    # Few tasks can be equal by chance: the variance is not taken to be below 1 / T of that of independent predictions.
    design = np.where(at_end, 1.0, np.maximum(variance / binomial, 1 / count))
    surplus = stdtrit(count - 1, 1 - TAIL) / stdtrit(predictions - 1, 1 - TAIL)
    return mean, predictions / design / surplus**2


def _lowest(mean: Array, n: Array) -> Array:
    """The smallest accuracy that is likely to give this mean or more in n predictions; n need not be whole."""
    hits = np.maximum(mean * n, ROUNDING)
    misses = np.maximum(n - hits, ROUNDING)
    low, high = np.zeros_like(mean), mean
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        more = OBSERVED * betainc(hits, misses + 1, middle) + (1 - OBSERVED) * betainc(hits + 1, misses, middle)
        low, high = np.where(more < TAIL, middle, low), np.where(more < TAIL, high, middle)
    return np.where((mean == 0) | (n == 0), 0.0, low)


def _unskewed(quantile: float, skewness: Array, count: int) -> Array:
    """Hall's inverse: the studentized mean of skewed values at a quantile of Student's distribution."""
    a = skewness / (3 * count**0.5)
    a = np.where(np.abs(a) < LEAST_SKEWNESS, LEAST_SKEWNESS, a)
    return (np.cbrt(1 + 3 * a * (quantile - a / 2)) - 1) / a
