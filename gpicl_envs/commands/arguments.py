"""What commands share: `NAME=VALUE` assignments."""

import ast
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

Assignments = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")]


def parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `("width=128", "tokens=paper")` into `{"width": 128, "tokens": "paper"}`."""
    arguments = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"{assignment!r} is not an assignment: give NAME=VALUE, such as width=128.")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return arguments
