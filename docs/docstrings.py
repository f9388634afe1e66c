"""Docstrings as documentation: their sections, their arguments, and their Markdown as Sphinx's reStructuredText."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from docstring_parser import DocstringStyle, parse

GOOGLE_SECTION = re.compile(r"^(Args|Returns|Raises|Example|Examples|Yields|Attributes):$", re.MULTILINE)
LONE_STAR = re.compile(r"(?<![\w*`])\*(?=\w)(?![^*]*\*)")
BAR = re.compile(r"(?<![`\\])\|(?!`)")  # of a norm, which Sphinx takes for the beginning of a substitution
HEADING = re.compile(r"^### +(.+)$")


class Argument(NamedTuple):
    """One row of a table of arguments."""

    name: str
    default: str
    meaning: str


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """Return a Markdown table; its last `right` columns are aligned to the right, as numbers are."""
    rule = ["---"] * (len(head) - right) + ["--:"] * right
    lines = [list(head), rule, *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def description(documented: object) -> str:
    """Return the docstring without its Google sections."""
    text = inspect.getdoc(documented) or ""
    return GOOGLE_SECTION.split(text, maxsplit=1)[0].strip()


def sections(documented: object) -> dict[str, str]:
    """Return title → text of the `### Title` sections of a docstring; the text before the first has the title ""."""
    found: dict[str, list[str]] = {"": []}
    for line in description(documented).splitlines():
        if heading := HEADING.match(line):
            found[heading[1]] = []
        else:
            found[list(found)[-1]].append(line)
    return {title: "\n".join(lines).strip() for title, lines in found.items()}


def arguments(made: Callable[..., Any], leave_out: Iterable[str] = ()) -> list[Argument]:
    """Return the documented arguments of a class or function, with their defaults; classes inherit descriptions."""
    meanings: dict[str, str] = {}
    for documented in reversed(inspect.getmro(made)) if isinstance(made, type) else [made]:
        entries = parse(inspect.cleandoc(documented.__doc__ or ""), style=DocstringStyle.GOOGLE).params
        meanings |= {entry.arg_name: entry.description or "" for entry in entries}
    return [
        Argument(name, _default(parameter.default), meanings[name])
        for name, parameter in inspect.signature(made).parameters.items()
        if name in meanings.keys() - set(leave_out)
    ]


def argument_table(rows: Iterable[Argument]) -> str:
    """Return arguments as a Markdown table."""
    return table(["argument", "default", "meaning"], [(f"`{name}`", value, text) for name, value, text in rows])


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return f"`{value}`" if isinstance(value, Enum) else f"`{value!r}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- Markdown inside docstrings, for autodoc --------------------------------------------------------------------------


def to_restructured_text(lines: list[str]) -> list[str]:
    """Return a docstring's lines with Markdown headings, tables, lone stars and norms as reStructuredText.

    Names in single backticks are left to `default_role = "code"`.
    """
    result: list[str] = []
    rows: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            result += _list_table(rows)
            rows = []
        heading = HEADING.match(line)
        result += [f".. rubric:: {heading[1]}", ""] if heading else [BAR.sub(r"\\|", LONE_STAR.sub(r"\\*", line))]
    return result


def _list_table(rows: list[str]) -> list[str]:
    """A Markdown table as a `list-table`, without its second line, the rule, and without an empty head."""
    cells = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in rows]
    head, body = [cell.strip() for cell in cells[0]], cells[2:]
    shown = ([head] if any(head) else []) + body
    lines = ["", ".. list-table::", "   :widths: auto"] + (["   :header-rows: 1"] if any(head) else []) + [""]
    for row in shown:
        for i, cell in enumerate(row):
            lines.append(f"   {'* ' if i == 0 else '  '}- {cell.strip()}")
    return [*lines, ""]
