"""Text → arguments: `NAME=VALUE` assignments, and `knn,metric=euclidean,k=3`. Needs no torch."""

import ast
import re
from collections.abc import Sequence
from typing import Any

OUTER_COMMA = re.compile(r",(?![^(\[{]*[)\]}])")


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


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Turn `"knn,metric=euclidean,k=3"` into `("knn", {"metric": "euclidean", "k": 3})`; brackets may hold commas."""
    target, *assignments = OUTER_COMMA.split(spec)
    return target, parse(assignments)
