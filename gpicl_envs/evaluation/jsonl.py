"""JSON Lines files of records: each line is one dataclass, checked as it is read."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from reprlib import repr as shortened
from typing import Annotated, Any, get_args

from gpicl_envs.datasets.files import exclusive, writing

BLOCK = 1 << 16  # bytes read at a time from a file's end


def append_jsonl(path: str | os.PathLike[str], records: Iterable[Any]) -> None:
    """Append records, dataclasses with a field `schema`, to a file; they are on the disk when this returns.

    All are added, or none. The file and its folder are made if needed; no records only check that it can be written. A
    last line that was cut short, because the process that wrote it was killed, is removed first.

    Raises:
        OSError: the file cannot be written, or the disk is full.
        ValueError: another process is using the file.
    """
    path, lines = Path(path), "".join(json.dumps(asdict(record)) + "\n" for record in records).encode()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path), open(path, "a+b", buffering=0) as file:
            _repair_last_line(file)
            _append(file, lines)


def _append(file: FileIO, content: bytes) -> None:
    """Append to a file and wait for the disk; without space for it all, the file stays as it is."""
    size = file.seek(0, os.SEEK_END)
    try:
        while content:
            content = content[file.write(content) :]
        os.fsync(file.fileno())
    except BaseException:
        file.truncate(size)
        raise


def _repair_last_line(file: FileIO) -> None:
    """Complete a last line that lacks only its newline; remove one that is not JSON."""
    start, rest = file.seek(0, os.SEEK_END), b""
    while start and b"\n" not in rest:
        start = max(0, start - BLOCK)
        file.seek(start)
        rest = file.read()
    rest = rest.rpartition(b"\n")[2]
    try:
        if rest:
            json.loads(rest)
            _append(file, b"\n")
    except (ValueError, RecursionError):
        file.truncate(file.seek(0, os.SEEK_END) - len(rest))


def read_jsonl(path: str | os.PathLike[str], kind: Any, schema: str) -> list[Any]:
    """Return the records of a file; missing fields take their defaults.

    Args:
        path: the file.
        kind: a dataclass, or a union of dataclasses with different values of `status`.
        schema: required value of the field `schema` in every line.

    Raises:
        ValueError: a line is not such a record; the message names the file, the line and the field.
    """
    from pydantic import ConfigDict, Discriminator, TypeAdapter, ValidationError  # 60 ms that only reading needs

    is_union = len(get_args(kind)) > 1
    line_type: Any = Annotated[kind, Discriminator("status")] if is_union else kind
    # A list, as pydantic takes a configuration for it, but not for a dataclass.
    adapter = TypeAdapter[Any](list[line_type], config=ConfigDict(allow_inf_nan=False))
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error.reason}): give a file of records.") from None
    records = []
    for number, line in enumerate(lines, start=1):
        _check_schema(f"{path}, line {number}", line, schema)
        try:
            records += adapter.validate_json(f"[{line}]", strict=True)
        except ValidationError as error:
            depth = 2 if is_union else 1  # the place in the list, and the status, come before the field
            problems = "; ".join(_problem(details, depth) for details in error.errors()[:3])
            raise ValueError(f"{path}, line {number}: {problems}. Make the record again, or remove the line.") from None
    return records


def _check_schema(place: str, line: str, schema: str) -> None:
    """Raise ValueError unless the line is a JSON object of this schema."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place} is not JSON ({error}): remove the line, or the file.") from None
    given = found.get("schema") if isinstance(found, dict) else type(found).__name__
    if given != schema:
        raise ValueError(
            f"{place} has the schema {given!r}, but this version reads {schema!r}: make the records again, in a new "
            "file."
        )


def _problem(error: Mapping[str, Any], depth: int) -> str:
    """One of pydantic's errors, as a phrase: the field, what was given, and what is allowed."""
    field = ".".join(map(str, error["loc"][depth:]))
    if error["type"] == "missing":
        return f"{field} is missing"
    message = error["msg"].removeprefix("Value error, ")  # raised by a dataclass, so without a field
    return f"{field}={shortened(error['input'])}: {message}" if field else message
