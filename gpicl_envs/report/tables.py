"""Tables in Markdown and LaTeX."""

import html
import re
from collections.abc import Iterable

from gpicl_envs.report.columns import Columns
from gpicl_envs.report.model import (
    DISTANCES,
    FAILED,
    LEAD,
    ORACLE,
    PUBLISHED,
    Table,
    TableCell,
    TableRow,
    distances,
    failures,
    leaderboard,
)

LATEX_SPECIAL = {letter: rf"\{letter}" for letter in "&%$#_{}"} | {"±": r"$\pm$", "–": "--"}
LATEX_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX_SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}


def markdown_table(columns: Columns) -> str:
    """Return the table of final scores, in Markdown."""
    apart = distances(columns)
    return as_markdown(leaderboard(columns), failures(columns), [f"{DISTANCES}:", *apart] if apart else [])


def as_markdown(table: Table, failed: Iterable[str] = (), notes: Iterable[str] = ()) -> str:
    """Return a table in Markdown, followed by its caption, one line for each failure, and further notes."""
    lines = [list(map(_markdown, table.heads)), ["---", *["--:"] * (len(table.heads) - 1)]]
    lines += [list(map(_markdown_cell, row.cells)) for row in table.rows]
    below = [table.caption, table.source, *(f"Failed: {_markdown(line)}" for line in failed), *map(_markdown, notes)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n" + "\n\n".join(filter(None, below)) + "\n"


def _markdown_cell(cell: TableCell) -> str:
    text = _markdown(cell.text)
    shown = f"**{text}**" if cell.emphasis == LEAD else text
    return f"{shown} ({_markdown(cell.note)})" if cell.note and cell.emphasis != FAILED else shown


def _markdown(text: str) -> str:
    escaped = html.escape(text, quote=False).replace("\n", " ")
    return re.sub(r"[\\`*|$\[\]]", lambda found: "\\" + found[0], escaped)


def latex_table(columns: Columns) -> str:
    """Return the table of final scores in LaTeX, for the package booktabs, without the differences."""
    return as_latex(leaderboard(columns, sizes=False))


def as_latex(table: Table) -> str:
    """Return a table in LaTeX, for the package booktabs, without the notes of its cells."""
    published = [_latex_row(row) for row in table.rows if row.kind == PUBLISHED]
    lines = [
        f"% {table.caption}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.heads) - 1)}}}",
        r"\toprule",
        " & ".join(map(latex, table.heads)) + r" \\",
        r"\midrule",
        *(_latex_row(row) for row in table.rows if row.kind != PUBLISHED),
        *([r"\midrule", *published, f"% {table.source}"] if published else []),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: TableRow) -> str:
    cells = [rf"\textbf{{{latex(cell.text)}}}" if cell.emphasis == LEAD else latex(cell.text) for cell in row.cells]
    cells[0] += " (knows the task)" if row.kind == ORACLE else ""
    return " & ".join(cells) + r" \\"


def latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(LATEX_SPECIAL.get(letter, letter) for letter in text.replace("\n", " "))
