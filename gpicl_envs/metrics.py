"""Scores with intervals, in NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LAST = 10  # "final" means the mean over the last ten positions
RESAMPLES = 1000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and its bootstrap interval; scalars or one value for each position."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def bootstrap(values: ArrayLike, tasks: ArrayLike | None = None, *, seed: int = 0) -> Interval:
    """Return the mean over episodes with its 95 % percentile interval, by the hierarchical bootstrap.

    Tasks are drawn with replacement, then the episodes of each drawn task with replacement (Davison and Hinkley 1997,
    section 3.8). Episodes of one-off tasks are each a task of their own.

    Args:
        values: (E, ...) a score for each episode.
        tasks: (E,) the task of each episode; by default, and where negative, each has its own.
        seed: seed of the resampling.
    """
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        raise ValueError("No episodes: an interval needs at least one.")
    weights = _resampling_weights(_groups(tasks, len(values)), np.random.default_rng(seed))
    means = weights @ values.reshape(len(values), -1) / weights.sum(1, keepdims=True)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    shape = values.shape[1:]
    return Interval(values.mean(0), low.reshape(shape), high.reshape(shape))


def _groups(tasks: ArrayLike | None, n_episodes: int) -> NDArray[np.int64]:
    """(E,) task numbers 0 … T − 1."""
    if tasks is None:
        return np.arange(n_episodes)
    tasks = np.asarray(tasks, np.int64)
    own = tasks.max(initial=0) + 1 + np.arange(n_episodes)
    return np.unique(np.where(tasks < 0, own, tasks), return_inverse=True)[1]


def _resampling_weights(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.float64]:
    """(R, E) how often each episode counts in each resample."""
    n_episodes, n_groups = len(groups), int(groups.max()) + 1
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=n_groups)
    starts = sizes.cumsum() - sizes
    weights = np.empty((RESAMPLES, n_episodes))
    for weight in weights:
        drawn = generator.integers(n_groups, size=n_groups)
        of_episode = np.repeat(drawn, sizes[drawn])  # the drawn task of each episode slot
        within = (generator.random(len(of_episode)) * sizes[of_episode]).astype(np.int64)
        weight[:] = np.bincount(order[starts[of_episode] + within], minlength=n_episodes)
    return weights
