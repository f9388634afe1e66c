"""The report of in-context RL: tables of returns and regrets, and a page with the regret of each episode."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gpicl_envs.datasets.files import write_text
from gpicl_envs.evaluation.records import FailedRecord, Record
from gpicl_envs.evaluation.return_comparisons import best_player, compare_returns, leading_players
from gpicl_envs.evaluation.return_records import ReturnRecord
from gpicl_envs.report.columns import Columns, group, learners, return_columns
from gpicl_envs.report.figures import draw_regrets
from gpicl_envs.report.html import embedded, write_page
from gpicl_envs.report.model import FAILED, LEAD, ORACLE, Table, TableCell, TableRow, failures, sources
from gpicl_envs.report.tables import as_latex, as_markdown

HEADS = ["player", "return", "regret", "first episode", "last episode", "gain", "difference to the best"]


def returns_leaderboard(columns: Columns) -> Table:
    """Return players × columns: the return of a problem, and the difference to the best of each column."""
    leading = {title: leading_players(records) for title, records in return_columns(columns).items()}
    rows = []
    for player in learners(columns):
        mine = {title: next((r for r in records if r.learner == player), None) for title, records in columns.items()}
        cells = [_score(record, columns[title], player in leading.get(title, ())) for title, record in mine.items()]
        knows = any(record is not None and record.knows_the_task for record in mine.values())
        rows.append(TableRow([TableCell(player), *cells], ORACLE if knows else ""))
    caption = (
        "Mean return of a problem, with half the width of its 95 % interval; the same problems for all players of a "
        "column. In brackets the difference to the best of the column, paired on these problems, with its 95 % "
        "interval. Bold: the best, and those not significantly worse (sign-flip test, Holm's correction over all pairs "
        "of the column, 5 %)."
    )
    return Table(["player", *columns], rows, caption)


def returns_details(columns: Columns) -> Table:
    """Return one row for each player and column: every estimate of its record."""
    shown, rows = return_columns(columns), []
    for title, records in shown.items():
        leading = leading_players(records)
        for record in records:
            name = TableCell(record.learner, emphasis=LEAD if record.learner in leading else "")
            estimates = (record.total_return, record.total_regret, record.first, record.last, record.gain)
            cells = [name, *map(_estimate, estimates), _difference(record, best_player(records))]
            if len(shown) > 1:
                cells.insert(1, TableCell(title))
            rows.append(TableRow(cells, ORACLE if record.knows_the_task else ""))
    heads = [HEADS[0], "column", *HEADS[1:]] if len(shown) > 1 else HEADS
    notes = {f" Note: {title} has {records[0].interval_note}." for title, records in shown.items()}
    caption = (
        "Means over the problems, with 95 % intervals. Return: of a whole problem. Regret: what the best policy for "
        "the hidden environment is expected to earn beyond that. Gain: the return of the last episode minus that of "
        "the first. The difference in return is paired on the same problems. Bold: the best, and those not "
        f"significantly worse (sign-flip test, Holm's correction, 5 %).{''.join(n for n in notes if 'has .' not in n)}"
    )
    return Table(heads, rows, caption)


def _score(record: Record | None, column: Sequence[Record], leads: bool) -> TableCell:
    if isinstance(record, FailedRecord):
        return TableCell("failed", note=record.error, emphasis=FAILED)
    if not isinstance(record, ReturnRecord):
        return TableCell()
    mean, low, high = record.total_return
    others = [other for other in column if isinstance(other, ReturnRecord)]
    difference = _difference(record, best_player(others))
    note = f"{difference.text} {difference.note}".rstrip()
    return TableCell(f"{mean:z.2f} ± {(high - low) / 2:z.2f}", mean, note, LEAD if leads else "")


def _difference(record: ReturnRecord, top: ReturnRecord | None) -> TableCell:
    """The difference in return to the best of the column."""
    if record is top:
        return TableCell("best", 0.0)
    if record.knows_the_task or top is None:
        return TableCell("knows the problem")
    difference = _estimate(compare_returns(record, top))
    return TableCell(f"{difference.value:+z.2f}", difference.value, difference.note)


def _estimate(values: Iterable[Any]) -> TableCell:
    mean, low, high = map(float, values)
    return TableCell(f"{mean:z.2f}", mean, f"[{low:z.2f}, {high:z.2f}]")


def returns_markdown(records: Sequence[Record]) -> str:
    """Return the table of all estimates in Markdown."""
    columns = group(records)
    return as_markdown(returns_details(columns), failures(columns))


def returns_table(records: Sequence[Record]) -> str:
    """Return the table of players and columns in Markdown."""
    columns = group(records)
    return as_markdown(returns_leaderboard(columns), failures(columns))


def write_returns_report(records: Sequence[Record], folder: str | Path, *, title: str) -> Path:
    """Write `index.html`, `table.md`, `table.tex`, and `regret.png` and `.svg`; return the page.

    Args:
        records: as `read_return_records` returns them; the last of a player and a column counts.
        folder: made if needed; an earlier report in it is replaced.
        title: of the page.
    """
    folder, columns = Path(folder), group(records)
    board = returns_leaderboard(columns)
    write_text(folder / "table.md", returns_table(records))
    write_text(folder / "table.tex", as_latex(board))
    draw_regrets(columns, [folder / "regret.png", folder / "regret.svg"])
    return write_page(
        folder,
        title=title,
        leaderboard=board,
        failures=failures(columns),
        pictures=embedded({"Regret within a problem": folder / "regret.png"}),
        plots=[],
        details=returns_details(columns),
        own_pictures={},
        sources=sources(records),
    )
