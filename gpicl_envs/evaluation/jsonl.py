"""JSON Lines files of records: each line is one dataclass, checked as it is read."""

import json
import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

from gpicl_envs.datasets.files import exclusive, writing
from gpicl_envs.evaluation.schema import from_json, to_json

BLOCK = 1 << 16  # bytes read at a time from a file's end


def append_jsonl(path: str | os.PathLike[str], records: Iterable[Any]) -> None:
    """Append records, dataclasses with a field `schema`, to a file; they are on the disk when this returns.

    All are added, or none. The file and its folder are made if needed; no records only check that it can be written. A
    last line that was cut short, because the process that wrote it was killed, is removed first.

    Raises:
        OSError: the file cannot be written, or the disk is full.
        ValueError: another process is using the file, or a record could not be read again.
    """
    path, lines = Path(path), "".join(to_json(record) + "\n" for record in records).encode()
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
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error.reason}): give a file of records.") from None
    records = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        try:
            records.append(from_json(line, kind, f"{path}, line {number}", ("schema", schema)))
        except ValueError as error:
            raise ValueError(f"{error} Make the record again, or remove the line.") from None
    return records
