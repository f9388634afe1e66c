"""The table of final scores, in Markdown and LaTeX."""

import html
import re
from collections.abc import Callable

from gpicl_envs.evaluation.comparisons import SIGNIFICANCE, Record, interquartile_mean, larger_is_better
from gpicl_envs.report import paper
from gpicl_envs.report.model import (
    Columns,
    caption,
    cell,
    difference,
    facts,
    failures,
    find_row,
    leaders,
    learners,
    oracles,
)

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
}


def interquartile_means(columns: Columns) -> dict[str, str]:
    """Return learner → its interquartile mean over the columns, if it has a score in all; empty for fewer than four."""
    if len(columns) < 4 or not all(larger_is_better(row) for row in _scored(columns)):
        return {}
    found = {}
    for learner in learners(columns):
        rows = [row for row in _scored(columns) if row["learner"] == learner]
        if len(rows) == len(columns):
            mean, low, high = (100 * float(value) for value in interquartile_mean(rows))
            found[learner] = f"{mean:.1f} ± {(high - low) / 2:.1f}"
    return found


def _scored(columns: Columns) -> list[Record]:
    return [row for rows in columns.values() for row in rows if row["status"] == "ok"]


def published(columns: Columns) -> dict[str, list[str]]:
    """Return the paper's rows where the columns are those of its Table 1."""
    suites = [(rows[0].get("suite") or {}) for rows in columns.values()]
    if any(suite.get("name") != paper.SUITE for suite in suites):
        return {}
    return paper.published_rows([suite["cell"] for suite in suites])


def _body(columns: Columns, bold: Callable[[str], str], text: Callable[[str], str]) -> list[list[str]]:
    """Every line of the table, as cells of text: learner, parameters, state, columns, interquartile mean."""
    means = interquartile_means(columns)
    leading = {title: leaders(rows, SIGNIFICANCE) for title, rows in columns.items()}
    lines = []
    for learner in learners(columns):
        line = [text(learner), *facts(columns, learner)]
        for title, rows in columns.items():
            row = find_row(rows, learner)
            shown = text(cell(row))
            note = text(difference(row, rows)) if row is not None else ""
            line.append((bold(shown) if learner in leading[title] else shown) + (f" ({note})" if note else ""))
        lines.append(line + ([means.get(learner, "")] if means else []))
    width = len(lines[0])
    for name, values in published(columns).items():
        line = [text(name), "", "", *values]
        lines.append(line + [""] * (width - len(line)))
    return lines


def markdown_table(columns: Columns) -> str:
    """Return the table of final scores, in Markdown."""
    heads = ["learner", "parameters", "state", *map(_markdown, columns)]
    heads += ["interquartile mean"] if interquartile_means(columns) else []
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *_body(columns, lambda text: f"**{text}**", _markdown)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = [caption(columns)]
    if published(columns):
        notes.append(f"{paper.NOTE}.")
    notes += [f"Failed: {_markdown(line)}" for line in failures(columns)]
    return table + "\n\n" + "\n\n".join(notes) + "\n"


def _markdown(text: str) -> str:
    escaped = html.escape(text, quote=False).replace("\n", " ")
    return re.sub(r"[\\`*|$\[\]]", lambda found: "\\" + found[0], escaped)


def latex_table(columns: Columns) -> str:
    """Return the table of final scores for LaTeX, with the rules of the package booktabs; differences are left out."""
    means = interquartile_means(columns)
    leading = {title: leaders(rows, SIGNIFICANCE) for title, rows in columns.items()}
    heads = ["learner", *columns, *(["interquartile mean"] if means else [])]
    lines = [
        f"% {caption(columns)}".replace("\n", " "),
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(map(latex, heads)) + r" \\",
        r"\midrule",
    ]
    for learner in learners(columns):
        cells = []
        for title, rows in columns.items():
            shown = latex(cell(find_row(rows, learner)))
            cells.append(rf"\textbf{{{shown}}}" if learner in leading[title] else shown)
        name = latex(learner) + (" (knows the task)" if learner in oracles(columns) else "")
        lines.append(" & ".join([name, *cells, *([latex(means.get(learner, ""))] if means else [])]) + r" \\")
    if rows_of_paper := published(columns):
        lines.append(r"\midrule")
        lines += [" & ".join([latex(n), *v, *([""] if means else [])]) + r" \\" for n, v in rows_of_paper.items()]
        lines.append(f"% {paper.NOTE}")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex(text: str) -> str:
    """Return text with everything that LaTeX would read as a command written out."""
    return "".join(LATEX_SPECIAL.get(letter, letter) for letter in text.replace("\n", " "))
