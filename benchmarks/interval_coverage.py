"""How often 95 % intervals hold the true mean, in made-up episodes of which it is known.

    python benchmarks/interval_coverage.py

For accuracies of one and of ten positions, few tasks with many episodes each, paired differences and squared errors:
coverage in % of the intervals of `gpicl_envs.evaluation.intervals`, and of the percentile bootstrap of the same
episodes. One position is exact, over all outcomes; everything else is counted in 4,000 sets of episodes, ± 0.7 points.
Takes half a minute. Writes results/interval_coverage.json.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from gpicl_envs.evaluation.intervals import Interval, accuracy_interval, mean_interval
from gpicl_envs.evaluation.metrics import percentile_interval, resampled_means
from machine import write_result

SETS = 4000
EPISODES = (16, 32, 64, 128, 256, 512)
ACCURACIES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.97, 0.99)
TASKS, PER_TASK = (2, 3, 4, 8, 16), 32
SPREADS = (0.0, 0.02, 0.05, 0.1)  # standard deviation of the tasks' accuracies
PAIRS = ((0.7, 0.7), (0.7, 0.6), (0.9, 0.8), (0.99, 0.95), (0.999, 0.99))

Values = NDArray[Any]


def main() -> None:
    """Measure and write."""
    result = {
        "unit": "% of 95 % intervals that hold the true mean: [of this package, of the percentile bootstrap]",
        "one position: episodes → accuracy": {n: one_position(n) for n in EPISODES},
        "ten positions: episodes → accuracy": {n: ten_positions(n) for n in EPISODES},
        f"tasks of {PER_TASK} episodes, ten positions: tasks → spread → accuracy": {n: few_tasks(n) for n in TASKS},
        "difference of two accuracies, one position: episodes → accuracies": {n: paired(n, 1) for n in EPISODES},
        "difference of two accuracies, ten positions: episodes → accuracies": {n: paired(n, 10) for n in EPISODES},
        "squared normal errors: episodes": {n: squared_errors(n) for n in EPISODES},
    }
    write_result(Path(__file__), result)


def one_position(episodes: int) -> dict[float, list[float]]:
    """Of one prediction in each episode: exact, from the probability of every number of correct ones."""
    outcomes = np.arange(episodes)[:, None] < np.arange(episodes + 1)
    intervals = accuracy_interval(outcomes), bootstrap(outcomes)
    chance = {p: binom.pmf(np.arange(episodes + 1), episodes, p) for p in ACCURACIES}
    return {p: [percent(chance[p][holds(found, p)].sum()) for found in intervals] for p in ACCURACIES}


def ten_positions(episodes: int) -> dict[float, list[float]]:
    """Of ten independent predictions in each episode, as in the committed records."""
    generator = np.random.default_rng(episodes)
    found = {}
    for p in ACCURACIES:
        scores = generator.binomial(10, p, (episodes, SETS)) / 10
        found[p] = coverage(p, scores, None, accuracy_interval, positions=10)
    return found


def few_tasks(tasks: int) -> dict[float, dict[float, list[float]]]:
    """Of tasks whose accuracies are normal (and cut to 0.02 … 0.98) around the true one."""
    generator, numbers = np.random.default_rng(tasks), np.repeat(np.arange(tasks), PER_TASK)
    found: dict[float, dict[float, list[float]]] = {}
    for spread in SPREADS:
        found[spread] = {}
        for p in (0.1, 0.5, 0.9):
            truth = float(generator.normal(p, spread, 1_000_000).clip(0.02, 0.98).mean())
            of_task = generator.normal(p, spread, (tasks, SETS)).clip(0.02, 0.98)
            scores = generator.binomial(10, np.repeat(of_task, PER_TASK, 0)) / 10
            found[spread][p] = coverage(truth, scores, numbers, accuracy_interval, positions=10)
    return found


def paired(episodes: int, positions: int) -> dict[str, list[float]]:
    """Of the difference between two learners on the same episodes."""
    generator, shape = np.random.default_rng(episodes), (episodes, SETS)
    found = {}
    for p, q in PAIRS:
        values = (generator.binomial(positions, p, shape) - generator.binomial(positions, q, shape)) / positions
        options: Any = {"step": 1 / positions, "bounds": (-1, 1)}
        found[f"{p} and {q}"] = coverage(p - q, values, None, mean_interval, **options)
    return found


def squared_errors(episodes: int) -> list[float]:
    """Of squares of standard normal errors."""
    return coverage(1.0, np.random.default_rng(episodes).normal(size=(episodes, SETS)) ** 2, None, mean_interval)


def coverage(
    truth: float, values: Values, tasks: Values | None, interval: Callable[..., Interval], **options: Any
) -> list[float]:
    """Coverage in % of both intervals, of (E, SETS) values."""
    found = interval(values, tasks, **options), bootstrap(values, tasks)
    return [percent(holds(each, truth).mean()) for each in found]


def bootstrap(values: Values, tasks: Values | None = None) -> Interval:
    """The percentile interval of the hierarchical bootstrap."""
    return percentile_interval(values.mean(0), resampled_means(values, tasks))


def holds(interval: Interval, truth: float) -> NDArray[np.bool_]:
    """Whether each interval holds the true mean."""
    return (interval.low - 1e-9 <= truth) & (truth <= interval.high + 1e-9)


def percent(fraction: float) -> float:
    """Such as 95.1."""
    return round(100 * float(fraction), 1)


if __name__ == "__main__":
    main()
