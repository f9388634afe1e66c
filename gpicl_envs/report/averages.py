"""The columns of a leaderboard that average over its others."""

from typing import NamedTuple

from gpicl_envs.evaluation.comparisons import interquartile_mean, mean_difference, mean_final
from gpicl_envs.evaluation.records import ScoredRecord
from gpicl_envs.report.columns import Columns, scored_columns

AVERAGES = ["mean", "interquartile mean"]
LEAST_COLUMNS = 4


class Average(NamedTuple):
    """What a cell shows of an average: with its interval, its value in %, and a note on the best."""

    text: str
    value: float
    note: str = ""


def averages(columns: Columns) -> dict[str, list[Average]]:
    """Return learner → its `AVERAGES`, if it has a score in all columns; empty for fewer than four, or regression."""
    mine: dict[str, list[ScoredRecord]] = {}
    for records in scored_columns(columns).values():
        for record in records:
            mine.setdefault(record.learner, []).append(record)
    accuracies = all(record.larger_is_better for records in mine.values() for record in records)
    whole = {name: records for name, records in mine.items() if len(records) == len(columns)}
    if len(columns) < LEAST_COLUMNS or not accuracies or not whole:
        return {}
    rivals = [records for records in whole.values() if not records[0].knows_the_task]
    top = max(rivals, key=lambda records: float(mean_final(records).mean), default=None)
    found = {}
    for name, records in whole.items():
        means = [100 * float(value) for value in mean_final(records)]
        middle = [100 * float(value) for value in interquartile_mean(records)]
        texts = [f"{mean:.1f} ± {(high - low) / 2:.1f}" for mean, low, high in (means, middle)]
        found[name] = [Average(texts[0], means[0], _difference(records, top)), Average(texts[1], middle[0])]
    return found


def _difference(records: list[ScoredRecord], top: list[ScoredRecord] | None) -> str:
    """The difference in the mean to the best one, with its interval."""
    if records is top or top is None:
        return "best" if top else ""
    if records[0].knows_the_task:
        return "knows the task"
    mean, low, high = (100 * float(value) for value in mean_difference(records, top))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
