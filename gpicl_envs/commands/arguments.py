"""What commands share: `NAME=VALUE` assignments, and learners made to fit the tasks."""

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


def make_fitting(spec: str, arguments: dict[str, Any], tasks: Any) -> Any:
    """Return a learner made for the tasks' D and K, on their device; what was trained before brings its own."""
    from torch.nn import Module

    from gpicl_envs.learner import has_own_size, make_learner

    if not has_own_size(spec):
        arguments = {"n_features": tasks.n_features, "n_classes": tasks.n_classes} | arguments
    made = make_learner(spec, **arguments)
    return made.to(tasks.device) if isinstance(made, Module) else made
