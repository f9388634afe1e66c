"""Records: one evaluation a line, as JSON, that outlives the process that made it."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SCHEMA = "gpicl-record-2"
FIELDS = {"schema", "status", "learner", "env", "env_kwargs", "split", "seed", "episodes"}
SCORES = {"metric", "n_parameters", "state_size", "final", "final_low", "final_high", "final_positions", "final_scores"}
SCORES |= {"area", "area_low", "area_high", "area_scores"}


def append_records(path: str | os.PathLike[str], records: Iterable[dict[str, Any]]) -> None:
    """Add records to a file, making it and its folder if needed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.flush()
        os.fsync(file.fileno())


def drop_partial_line(path: str | os.PathLike[str]) -> None:
    """Cut off a last line without its end: what a process that was killed while writing has left."""
    with open(path, "r+b") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a file.

    Raises:
        ValueError: a line is not a record; the message names the file, the line and what is wrong with it.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no record file {path}. `gpicl evaluate --out {path}` writes one.")
    records = read_lines(path, SCHEMA, FIELDS)
    for number, record in enumerate(records, start=1):
        needed = {"error"} if record["status"] == "failed" else SCORES | {record.get("metric")}
        _check_fields(path, number, record, needed)
    if not records:
        raise ValueError(f"{path} holds no records.")
    return records


def read_lines(path: str | os.PathLike[str], schema: str, fields: set[str]) -> list[dict[str, Any]]:
    """Return the lines of a JSONL file, all of one schema and with these fields.

    Raises:
        ValueError: a line is not; the message names the file, the line and what is wrong with it.
    """
    records = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number} is not JSON ({error}). Remove the line, or the file.") from None
        if not isinstance(record, dict) or record.get("schema") != schema:
            given = record.get("schema") if isinstance(record, dict) else type(record).__name__
            raise ValueError(
                f"{path}, line {number} has the schema {given!r}, but this version reads {schema!r}: "
                "make the records again, in a new file."
            )
        _check_fields(path, number, record, fields)
        records.append(record)
    return records


def _check_fields(path: str | os.PathLike[str], number: int, record: dict[str, Any], fields: set[Any]) -> None:
    if missing := sorted(str(field) for field in fields - record.keys()):
        raise ValueError(f"{path}, line {number} lacks {', '.join(missing)}.")
