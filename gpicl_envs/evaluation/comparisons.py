"""Learners against each other, from their records alone: paired differences, tests, regret, interquartile means.

Compared records were made on the same episodes, so every difference is paired. Needs no torch.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gpicl_envs.evaluation.intervals import Interval, accuracy_draws, mean_interval
from gpicl_envs.evaluation.metrics import BLOCK, percentile_interval
from gpicl_envs.evaluation.records import Record, ScoredRecord

FLIPS = 9999
SIGNIFICANCE = 0.05


def compare(record: ScoredRecord, reference: ScoredRecord) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the difference in the final metric, paired on the same episodes."""
    values = _paired_interval(_difference(record, reference), record, record.final_positions)
    mean, low, high = (float(value) / record.final_positions for value in values)
    return mean, low, high


def _paired_interval(differences: NDArray[np.float64], record: ScoredRecord, most: float) -> Interval:
    """The mean difference in summed scores: whole numbers from −most to most, or real values for squared errors."""
    if record.larger_is_better:
        return mean_interval(differences, record.task_id, step=1.0, bounds=(-most, most))
    return mean_interval(differences, record.task_id)


def _difference(record: ScoredRecord, reference: ScoredRecord) -> NDArray[np.float64]:
    """(E,) difference of the metric in each episode, summed over the final positions."""
    check_same_episodes(record, reference)
    return np.array(record.final_scores, np.float64) - np.array(reference.final_scores, np.float64)


def check_same_episodes(record: Record, reference: Record) -> None:
    """Raise ValueError unless differences of two records are paired."""
    named = record.definition, reference.definition
    for name in (named[0].keys() & named[1].keys()) - {"protocol"}:  # what one lacks did not exist when it was made
        first, second = (each[name] for each in named)
        if first != second and not (name == "data" and None in (first, second)):
            raise ValueError(
                f"{record.learner} and {reference.learner} were not evaluated on the same episodes: {name} is "
                f"{first!r} and {second!r}. Compare records of one evaluation, whose differences are paired."
            )


def p_value(record: ScoredRecord, reference: ScoredRecord, *, seed: int = 0) -> float:
    """Return the two-sided p of no difference in the final metric, by a sign-flip permutation test.

    Under the null hypothesis the difference of each task is as likely to have the other sign (Fisher 1935). Differences
    of one size are flipped together, which is exact: the number that stay positive is binomial.
    """
    return sign_flip_p(_difference(record, reference), record.task_id, seed=seed)


def sign_flip_p(differences: NDArray[np.float64], task_id: Sequence[int] | None, *, seed: int = 0) -> float:
    """Return the p of no difference, as `p_value` does, for the difference in each of E episodes."""
    return _sign_flip_p(_by_task(differences, task_id).tobytes(), seed)


@lru_cache(maxsize=4096)  # a report needs the same ones several times
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
    """(E,) → sums over the episodes of each task; one-off tasks have one episode each."""
    if task_id is None:
        return values
    ids = np.array(task_id)
    alone = values[ids < 0]
    _, place = np.unique(ids[ids >= 0], return_inverse=True)
    return np.concatenate([alone, np.bincount(place, values[ids >= 0])])


def holm(p_values: Sequence[float], count: int | None = None) -> list[float]:
    """Return p-values corrected for the number of tests (Holm 1979): `count`, if these are not the p-values of all."""
    order = np.argsort(p_values)
    adjusted, largest = np.empty(len(p_values)), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, ((count or len(p_values)) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted.tolist()


def scored(records: Sequence[Record]) -> list[ScoredRecord]:
    """Return the records that did not fail."""
    return [record for record in records if isinstance(record, ScoredRecord)]


def best(records: Sequence[Record]) -> ScoredRecord | None:
    """Return the best record of a column, without the oracle's; None if no other learner has a score."""
    candidates = [record for record in scored(records) if not record.knows_the_task]
    return max(candidates, key=lambda record: record.goodness, default=None)


def best_baseline(records: Sequence[Record]) -> ScoredRecord | None:
    """Return the best record of a column among the learners that were not meta-trained."""
    return best([record for record in scored(records) if record.n_parameters == 0])


def pareto_front(records: Sequence[Record], cost: Callable[[ScoredRecord], float | None]) -> list[ScoredRecord]:
    """Return the records that no other one beats, cheapest first: none is both as cheap and as good, and better in one.

    Those of unknown cost and the oracle's are left out; the scores are the means of the final metric.
    """
    known = [(cost(record), record) for record in scored(records) if not record.knows_the_task]
    costs = [(value, -record.goodness, record) for value, record in known if value is not None]
    front: list[ScoredRecord] = []
    last: tuple[float, float] | None = None
    for value, loss, record in sorted(costs, key=lambda each: each[:2]):
        if last is None or loss < last[1] or (value, loss) == last:
            front.append(record)
            last = value, loss
    return front


def corrected_p_values(records: Sequence[Record]) -> dict[str, float]:
    """Return learner → p against the best of the column, corrected for all pairs of the column.

    All pairs count because the best learner was found on the same episodes.
    """
    top = best(records)
    if top is None:
        return {}
    others = [record for record in scored(records) if record is not top and not record.knows_the_task]
    return corrected({record.learner: p_value(record, top) for record in others})


def corrected(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return learner → p against the best learner of a column, corrected for all pairs of the column."""
    pairs = len(p_values) * (len(p_values) + 1) // 2
    return dict(zip(p_values, holm(list(p_values.values()), pairs), strict=True))


def regret(record: ScoredRecord, reference: ScoredRecord) -> Interval:
    """Return what is lost against the reference over a whole episode: correct predictions, or added squared error."""
    check_same_episodes(record, reference)
    loss = np.array(reference.area_scores, np.float64) - np.array(record.area_scores, np.float64)
    return _paired_interval(loss if record.larger_is_better else -loss, record, len(record.curve.mean))


def mean_final(records: Sequence[ScoredRecord]) -> Interval:
    """Return the mean over the datasets of one learner's final metric, for these datasets and no others."""
    return _combined([record.final for record in records])


def mean_difference(records: Sequence[ScoredRecord], references: Sequence[ScoredRecord]) -> Interval:
    """Return the mean over the datasets of the difference of two learners in the final metric, paired on episodes.

    Args:
        records: of one learner, one for each dataset.
        references: of the other, in the same order.
    """
    return _combined([compare(*pair) for pair in zip(records, references, strict=True)])


def _combined(estimates: Sequence[tuple[float, float, float]]) -> Interval:
    """The mean of independent estimates, with the interval that theirs give (MOVER: Zou and Donner 2008)."""
    mean, low, high = np.array(estimates, np.float64).T
    below, above = (float(np.square(ends - mean).sum()) ** 0.5 / len(mean) for ends in (low, high))
    return Interval(mean.mean(), mean.mean() - below, mean.mean() + above)


def interquartile_mean(records: Sequence[ScoredRecord]) -> Interval:
    """Return the mean over the middle half of the datasets of one learner's final accuracy (Agarwal et al. 2021).

    The interval is that of draws of the accuracy on each dataset, as likely as its own interval says.
    """
    finals = [np.array(record.final_scores, np.float64) / record.final_positions for record in records]
    draws = [
        accuracy_draws(values, record.task_id, positions=record.final_positions, seed=seed)
        for seed, (values, record) in enumerate(zip(finals, records, strict=True))
    ]
    mean = stats.trim_mean([values.mean() for values in finals], 0.25)
    found = percentile_interval(np.asarray(mean), stats.trim_mean(np.stack(draws), 0.25, axis=0))
    return Interval(mean, min(found.low, mean), max(found.high, mean))
