"""The environments: the vector environment has the dynamics, and the single one is its batch of one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any


def signature_with_arguments_of(
    constructor: Callable[..., None], *kinds: Callable[..., Any], leave_out: Sequence[str] = ()
) -> inspect.Signature:
    """Return a constructor's signature for `help()`, with the arguments of `kinds` in place of `**arguments`."""
    _, *own = inspect.signature(constructor).parameters.values()  # without self
    shown = {parameter.name: parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD}
    for kind in kinds:
        others = inspect.signature(kind).parameters
        shown |= {name: others[name] for name in others if name not in shown and name not in leave_out}
    return inspect.Signature(list(shown.values()))
