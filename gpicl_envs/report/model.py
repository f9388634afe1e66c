"""The tables of a report as plain data, which Markdown, LaTeX and HTML only format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpicl_envs.evaluation.comparisons import (
    SIGNIFICANCE,
    best,
    best_baseline,
    compare,
    corrected_p_values,
    regret,
)
from gpicl_envs.evaluation.intervals import few_note
from gpicl_envs.evaluation.records import FailedRecord, Record, ScoredRecord
from gpicl_envs.report import paper
from gpicl_envs.report.averages import AVERAGES, averages
from gpicl_envs.report.columns import Columns, learners, scored_columns
from gpicl_envs.report.costs import COSTS, NOTE

DISTANCES = "Distance: mean squared distance to the predictions of a reference learner, over all positions"
LEAD, FAILED = "lead", "failed"  # emphases of a cell
ORACLE, PUBLISHED = "oracle", "published"  # kinds of row


@dataclass(frozen=True)
class TableCell:
    """One cell.

    Args:
        text: what it shows.
        value: the number that its column is sorted by, if it has one.
        note: shown smaller, or in brackets.
        emphasis: `LEAD`, for the best and those not significantly worse; `FAILED`; or empty.
    """

    text: str = ""
    value: float | None = None
    note: str = ""
    emphasis: str = ""


@dataclass(frozen=True)
class TableRow:
    """One row: its cells, and its kind, `ORACLE`, `PUBLISHED`, or empty for all others."""

    cells: list[TableCell]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        heads: of the columns.
        rows: each with as many cells as there are heads.
        caption: what the numbers are.
        source: of the rows of kind `PUBLISHED`; empty if there are none.
    """

    heads: list[str]
    rows: list[TableRow]
    caption: str
    source: str = ""


class Unit(NamedTuple):
    """How a metric is shown: the factor that it is multiplied by, the digits after the point, and its name."""

    factor: float
    digits: int
    name: str


def unit(record: ScoredRecord) -> Unit:
    """Return how the record's metric is shown: accuracy in %, squared error as it is."""
    return Unit(100.0, 1, "accuracy (%)") if record.larger_is_better else Unit(1.0, 3, "squared error")


def leaderboard(columns: Columns, *, sizes: bool = True) -> Table:
    """Return learners × columns: final scores, and the differences to the best of each column.

    With `sizes` it also shows the number of each learner's parameters and the size of its state.
    """
    means = {name: [TableCell(*each) for each in of_learner] for name, of_learner in averages(columns).items()}
    published = _published(columns)
    leading = {title: _leaders(records) for title, records in columns.items()}

    def row(name: str, of_learner: list[TableCell], scores: list[TableCell], kind: str) -> TableRow:
        cells = [TableCell(name), *(of_learner if sizes else []), *scores]
        return TableRow([*cells, *means.get(name, [TableCell()] * len(AVERAGES))] if means else cells, kind)

    rows = []
    for learner in learners(columns):
        mine = {title: next((r for r in records if r.learner == learner), None) for title, records in columns.items()}
        scores = [_score(record, columns[title], learner in leading[title]) for title, record in mine.items()]
        knows = any(record is not None and record.knows_the_task for record in mine.values())
        rows.append(row(learner, _sizes(mine.values()), scores, ORACLE if knows else ""))
    rows += [row(name, [TableCell(), TableCell()], scores, PUBLISHED) for name, scores in published.items()]
    heads = ["learner", *(["parameters", "state"] if sizes else []), *columns]
    heads += AVERAGES if means else []
    caption = _caption(columns) + (" Averages are over these columns: they say nothing of others." if means else "")
    return Table(heads, rows, caption, f"{paper.NOTE}." if published else "")


def _score(record: Record | None, column: Sequence[Record], leads: bool) -> TableCell:
    """The final metric with half the width of its interval, and the difference to the best of the column."""
    if isinstance(record, FailedRecord):
        return TableCell("failed", note=record.error, emphasis=FAILED)
    if not isinstance(record, ScoredRecord):
        return TableCell()
    factor, digits, _ = unit(record)
    mean, half = factor * record.final.mean, factor * (record.final.high - record.final.low) / 2
    text, note = f"{mean:.{digits}f} ± {half:.{digits}f}", _difference(record, best(column))
    return TableCell(text, mean, note, LEAD if leads else "")


def _difference(record: ScoredRecord, top: ScoredRecord | None) -> str:
    """The difference to the best of the column, with its interval."""
    if record is top:
        return "best"
    if record.knows_the_task:
        return "knows the task" if top else ""
    assert top is not None  # it is at least this record
    factor, digits, _ = unit(record)
    mean, low, high = (factor * value for value in compare(record, top))
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def _leaders(records: Sequence[Record]) -> set[str]:
    """The best of a column, and all that are not significantly worse."""
    top = best(records)
    level = {learner for learner, p in corrected_p_values(records).items() if p >= SIGNIFICANCE}
    return level | ({top.learner} if top else set())


def _sizes(records: Iterable[Record | None]) -> list[TableCell]:
    """The learner's parameters and state size; dashes if it has no score."""
    for record in records:
        if isinstance(record, ScoredRecord):
            return [TableCell(f"{size:,}", size) for size in (record.n_parameters, record.state_size)]
    return [TableCell("–"), TableCell("–")]


def _published(columns: Columns) -> dict[str, list[TableCell]]:
    """The paper's rows, if the columns are those of its Table 1."""
    claims = [records[0].suite for records in columns.values()]
    if any(claim is None or claim.name != paper.SUITE for claim in claims):
        return {}
    names = [claim.cell for claim in claims if claim]
    rows = {}
    for learner, values in paper.PUBLISHED.items():
        cells = {name: TableCell(f"{value:.1f}", value) for name, value in zip(paper.COLUMNS, values, strict=True)}
        rows[f"{learner} (published)"] = [cells.get(name, TableCell()) for name in names]
    return rows


def _caption(columns: Columns) -> str:
    """What the numbers of the leaderboard are."""
    records = [record for column in scored_columns(columns).values() for record in column]
    if not records:
        return "No learner got a score."
    metrics = sorted({"accuracy in %" if record.larger_is_better else "mean squared error" for record in records})
    positions = sorted({record.final_positions for record in records})
    where = " or ".join("the last position" if n == 1 else f"the last {n} positions" for n in positions)
    episodes = " or ".join(f"{n:,}" for n in sorted({record.episodes for record in records}))
    few = [f" Note: {title} has {note}." for title, note in _interval_notes(columns).items()]
    return (
        f"{' or '.join(metrics).capitalize()} over {where}, with half the width of its 95 % interval; "
        f"{episodes} episodes a cell, the same for all learners of a column. In brackets the difference to the best of "
        "the column, paired on these episodes, with its 95 % interval. Bold: the best, and those not significantly "
        "worse (sign-flip test, Holm's correction over all pairs of the column, 5 %; intervals are not corrected, so "
        f"that of a bold cell can exclude 0).{''.join(few)}"
    )


def _interval_notes(columns: Columns) -> dict[str, str]:
    """Column → why its intervals are less sure than they say, where there are too few episodes or tasks."""
    first = {title: records[0] for title, records in scored_columns(columns).items()}
    notes = {title: few_note(record.task_id, record.episodes) for title, record in first.items()}
    return {title: note for title, note in notes.items() if note}


def failures(columns: Columns) -> list[str]:
    """Return one line for each failed record: its learner, its column and the reason."""
    return [
        f"{record.learner}, {title}: {record.error}"
        for title, records in columns.items()
        for record in records
        if isinstance(record, FailedRecord)
    ]


def distances(columns: Columns) -> list[str]:
    """Return one line for each record of regression: the squared distances to the reference learners."""
    lines = []
    for title, records in scored_columns(columns).items():
        for record in records:
            found = {name: _estimate(values, 1.0, 3) for name, values in (record.distances or {}).items()}
            parts = [f"{cell.text} {cell.note} to {name}" for name, cell in found.items()]
            lines += [f"{record.learner}, {title}: {', '.join(parts)}"] if parts else []
    return lines


def details(columns: Columns) -> Table:
    """Return one row for each learner and column: every estimate of its record, and its regret to the best baseline."""
    heads = ["learner", "column", "final", "area", "regret", "p", "NLL", "ECE", "to 50 %", "to 70 %"]
    heads += ["seconds", *(cost.head for cost in COSTS)]
    scored = scored_columns(columns)
    references = list(dict.fromkeys(name for rs in scored.values() for r in rs for name in r.distances or {}))
    heads += [f"distance to {name}" for name in references]
    returns = any(one.forgetting for records in scored.values() for one in records)
    heads += ["forgetting", "relearning"] if returns else []
    rows = []
    for title, records in scored.items():
        p_values, baseline = corrected_p_values(records), best_baseline(records)
        costs = [(cost, cost.front(records)) for cost in COSTS]
        for record in records:
            factor, digits, _ = unit(record)
            p = p_values.get(record.learner)
            cells = [
                TableCell(record.learner, note=record.spec),
                TableCell(title),
                _estimate(record.final, factor, digits),
                _estimate(record.area, factor, digits),
                _estimate(None if baseline is None else regret(record, baseline), 1.0, 2),
                TableCell() if p is None else TableCell(f"{p:.4f}", p),
                _estimate(record.final_nll, 1.0, 3),
                _estimate(record.ece, 100.0, 1),
                *(_examples(record, level) for level in ("0.5", "0.7")),
                TableCell(f"{record.wall_seconds:.1f}", record.wall_seconds),
                *(TableCell(c.text(record), c.value(record), "", LEAD * (record in front)) for c, front in costs),
                *(_estimate((record.distances or {}).get(name), 1.0, 3) for name in references),
            ]
            if returns:
                cells += [_estimate(each, factor, digits) for each in (record.forgetting, record.relearning)]
            rows.append(TableRow(cells))
    caption = (
        "Every number with its 95 % interval. Final: over the last positions. Area: mean over all positions. "
        "Regret: correct predictions lost (or squared error added) over an episode, against the best learner of the "
        "column that was not meta-trained. p: no difference to the best of the column, sign-flip test with Holm's "
        "correction over all pairs. NLL in nats and expected calibration error in points, over the last positions. To "
        "50 %, 70 %: examples seen when the accuracy (made monotone) first reaches it. Seconds: of all predictions. "
        f"{NOTE}"
    )
    caption += f" {DISTANCES}." if references else ""
    if returns:
        caption += (
            " Forgetting: what is lost of the first task when it returns after another; relearning: how much better it "
            "then goes than when it was new (over as many examples as are final ones)."
        )
    return Table(heads, rows, caption)


def _estimate(values: Iterable[Any] | None, factor: float, digits: int) -> TableCell:
    if values is None:
        return TableCell()
    mean, low, high = (factor * float(value) for value in values)
    return TableCell(f"{mean:.{digits}f}", mean, f"[{low:.{digits}f}, {high:.{digits}f}]")


def _examples(record: ScoredRecord, level: str) -> TableCell:
    """Examples seen until an accuracy is reached."""
    found = (record.examples_to or {}).get(level)
    if found is None:
        return TableCell()
    mean, low, high = ("never" if value is None else str(value) for value in found)
    return TableCell(mean, found[0], f"[{low}, {high}]")


def sources(records: Sequence[Record]) -> list[str]:
    """Return the suites, versions, commits, machines, seeds, dates and commands of the records, one line for each."""
    lines: dict[str, None] = {}
    for record in records:
        made = record.provenance
        parts = [
            f"suite {record.suite.name}" if record.suite else "",
            ", ".join(f"{name} {version}" for name, version in made.versions.items()),
            f"commit {made.commit}",
            made.machine or made.device,
            f"episodes of seed {record.seed}",
            made.date[:10],
            made.command,
        ]
        lines["; ".join(filter(None, parts))] = None
    return list(lines)
