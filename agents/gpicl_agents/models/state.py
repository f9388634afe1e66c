"""The tensors in the state of a learner, whatever dataclasses, tuples and lists hold them."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gpicl_agents.models.kv_cache import Rows

Change = Callable[[str, Any], Any]


def map_state(state: Any, change: Change, name: str = "state") -> Any:
    """Return a state of the same form with other values.

    Args:
        state: nested dataclasses, tuples, named tuples and lists; `Rows` count as their tensor.
        change: (name, value) → value, for each tensor, number and None in it, in order.
        name: of the state; those of its parts follow after dots: `state.memory.0`.
    """
    if isinstance(state, Rows):
        return Rows(change(name, state.tensor))
    if isinstance(state, list | tuple):
        names = getattr(state, "_fields", range(len(state)))
        parts = [map_state(part, change, f"{name}.{key}") for key, part in zip(names, state, strict=True)]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if is_dataclass(state) and not isinstance(state, type):
        keys = [item.name for item in fields(state) if item.init]
        return replace(state, **{key: map_state(getattr(state, key), change, f"{name}.{key}") for key in keys})
    return change(name, state)


def leaves_of(state: Any) -> dict[str, Any]:
    """Return name → tensor, number or None, of a state."""
    found: dict[str, Any] = {}
    map_state(state, lambda name, value: found.setdefault(name, value))
    return found
