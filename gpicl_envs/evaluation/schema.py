"""Dataclasses as JSON: what is written can be read again, and what is read is what its dataclass says, or is refused.

The error of a value names its place: the file and line, as the caller calls them, and the field.
"""

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any, get_args

MOST_INTEGER = 1 << 63
LONGEST = 1000  # characters of a problem
DEEPEST = 32  # lists and objects within each other


def to_json(record: Any) -> str:
    """Return a dataclass as one line of JSON, which `from_json` reads; NumPy's numbers and arrays become plain ones.

    Raises:
        ValueError: a value could not be read again, such as NaN; the message names the field.
    """
    line = _as_line(record)
    _validated(line, type(record))
    return line


def as_read(record: Any) -> Any:
    """Return the dataclass that reading gives back; raises as `to_json` does."""
    return _validated(_as_line(record), type(record))


def from_json(text: str, kind: Any, place: str, schema: tuple[str, str]) -> Any:
    """Return the dataclass in a text; missing fields take their defaults, unknown ones are left out.

    Args:
        text: JSON.
        kind: a dataclass, or a union of dataclasses with different values of `status`.
        place: where the text is, for errors: a file, or a file and a line.
        schema: name and value of the field that says what the text is.

    Raises:
        ValueError: it is not JSON, has another schema, or a field is missing or wrong.
    """
    found = parse(text, place)
    given = found.get(schema[0]) if isinstance(found, dict) else type(found).__name__
    if given != schema[1]:
        raise ValueError(f"{place} has the {schema[0]} {reprlib.repr(given)}, but this version reads {schema[1]!r}.")
    try:
        return _validated(text, kind)
    except ValueError as error:
        raise ValueError(f"{place}: {str(error).removesuffix('.')}.") from None


def parse(text: str, place: str) -> Any:
    """Return the plain value of a JSON text: finite numbers, integers of 64 bits, text without lone surrogates.

    Raises:
        ValueError: the message begins with `place`.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(f"{place} is nested too deeply to be read.") from None
    except ValueError as error:
        raise ValueError(f"{place} is not JSON ({error}).") from None
    try:
        return _plain(found)
    except ValueError as error:
        raise ValueError(f"{place}: {error}.") from None


def _as_line(record: Any) -> str:
    return json.dumps(_plain(asdict(record)))


def _plain(value: Any, field: str = "", depth: int = 0) -> Any:
    """The value as JSON has it; raises ValueError, naming the field, for what no JSON file keeps."""
    numpy_value = getattr(value, "tolist", None) if type(value).__module__ == "numpy" else None
    if numpy_value is not None:
        value = numpy_value()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -MOST_INTEGER <= value < MOST_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str) and _is_text(value):
        return value
    if depth < DEEPEST and isinstance(value, list | tuple):
        if set(map(type, value)) <= {int, float} and all(-MOST_INTEGER <= one < MOST_INTEGER for one in value):
            return value  # the long lists of scores, at once
        return [_plain(one, f"{field}.{i}" if field else str(i), depth + 1) for i, one in enumerate(value)]
    if depth < DEEPEST and isinstance(value, dict) and all(isinstance(key, str) and _is_text(key) for key in value):
        return {key: _plain(one, f"{field}.{key}" if field else key, depth + 1) for key, one in value.items()}
    raise ValueError(f"{field or 'the whole'}={reprlib.repr(value)}: {_allowed(value)}")


def _is_text(value: str) -> bool:
    """Whether the text has no lone surrogates, which no UTF-8 file keeps."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _allowed(value: Any) -> str:
    """What would be allowed in place of a value that no JSON file keeps."""
    if isinstance(value, int):
        return "Input should be an integer of 64 bits"
    if isinstance(value, float):
        return "Input should be a finite number"
    if isinstance(value, str):
        return "Input should be text without lone surrogates"
    if isinstance(value, list | tuple | dict):
        return f"Input should have text as its keys, and at most {DEEPEST} levels"
    return "Input should be a number, text, a list or a dictionary"


@cache
def _adapter(kind: Any) -> Any:
    """Pydantic's reader of [dataclass]: a list, as it takes a configuration for that, but not for a dataclass."""
    from pydantic import ConfigDict, Discriminator, TypeAdapter  # 60 ms that only records need

    line_type: Any = Annotated[kind, Discriminator("status")] if len(get_args(kind)) > 1 else kind
    return TypeAdapter[Any](list[line_type], config=ConfigDict(allow_inf_nan=False))


def _validated(text: str, kind: Any) -> Any:
    """The dataclass in a JSON text; raises ValueError with up to three problems."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(f"[{text}]", strict=True)[0]
    except ValidationError as error:
        depth = 2 if len(get_args(kind)) > 1 else 1  # the place in the list, and the status, come before the field
        raise ValueError("; ".join(_problem(details, depth) for details in error.errors()[:3])) from None


def _problem(error: Mapping[str, Any], depth: int) -> str:
    """One of pydantic's errors, as a phrase: the field, what was given, and what is allowed."""
    field = ".".join(map(str, error["loc"][depth:]))
    if error["type"] == "missing":
        return f"{field} is missing"
    message = error["msg"].removeprefix("Value error, ")  # raised by a dataclass, so without a field
    if len(message) > LONGEST:  # pydantic quotes a wrong status as it is
        message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
    return f"{field}={reprlib.repr(error['input'])}: {message}" if field else message
