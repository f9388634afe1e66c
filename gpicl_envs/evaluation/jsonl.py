"""JSON Lines files of records: each line is one dataclass, checked as it is read."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from gpicl_envs.evaluation.schema import from_json, to_json


def append_jsonl(path: str | os.PathLike[str], records: Iterable[Any]) -> None:
    """Append records, dataclasses with a field `schema`, to a file; they are on the disk when this returns.

    The file and its folder are made if needed; no records only check that it can be written. A last line that was cut
    short, because the process that wrote it was killed, is removed first. Raises OSError, or ValueError for a record
    that could not be read again: then none is added.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        _repair_last_line(file)
        file.write("".join(to_json(record) + "\n" for record in records).encode())
        file.flush()
        os.fsync(file.fileno())


def _repair_last_line(file: BinaryIO) -> None:
    """Complete a last line that lacks only its newline; remove one that is not JSON."""
    file.seek(0)
    rest = file.read().rpartition(b"\n")[2]
    try:
        if rest:
            json.loads(rest)
            file.write(b"\n")
    except ValueError:
        file.truncate(file.tell() - len(rest))


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
