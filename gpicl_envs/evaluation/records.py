"""Records: one evaluation a line, as JSON, that outlives the process that made it."""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gpicl_envs.errors import check_choice

SCHEMA = "gpicl-record-2"
KINDS: dict[str, type | tuple[type, ...]] = {"learner": str, "env": str, "env_kwargs": dict, "protocol": str}
KINDS |= {"seed": int, "episodes": int, "status": str}
SCORES: dict[str, type | tuple[type, ...]] = {"metric": str, "n_parameters": int, "state_size": int}
SCORES |= {"final_positions": int, "final_scores": list, "area_scores": list, "wall_seconds": (int, float)}
SCORES |= {f"{name}{end}": (int, float) for name in ("final", "area") for end in ("", "_low", "_high")}
ROUNDING = 1e-4


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
        _, _, rest = content.rpartition(b"\n")
        if not rest:
            return
        try:
            json.loads(rest)
            file.write(b"\n")  # a whole line that lacks its end alone
        except ValueError:
            file.truncate(len(content) - len(rest))


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a file.

    Raises:
        ValueError: a line is not a record; the message names the file, the line and what is wrong with it.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no record file {path}. `gpicl evaluate --out {path}` writes one.")
    records = read_lines(path, SCHEMA, set(KINDS))
    for number, record in enumerate(records, start=1):
        _check_kinds(path, number, record, KINDS)
        check_choice("status", record["status"], ("ok", "failed"))
        if record["status"] == "failed":
            _check_kinds(path, number, record, {"error": str})
            continue
        metric = str(record.get("metric"))
        _check_kinds(path, number, record, SCORES | {f"{metric}{end}": list for end in ("", "_low", "_high")})
        _check_scores(path, number, record)
    if not records:
        raise ValueError(f"{path} holds no records.")
    return records


def read_lines(path: str | os.PathLike[str], schema: str, fields: set[str]) -> list[dict[str, Any]]:
    """Return the lines of a JSONL file, all of one schema and with these fields.

    Raises:
        ValueError: a line is not; the message names the file, the line and what is wrong with it.
    """
    records = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file ({error.reason}): give a record file.") from None
    for number, line in enumerate(lines, start=1):
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


def _check_kinds(path: str | os.PathLike[str], number: int, record: dict[str, Any], kinds: dict[str, Any]) -> None:
    _check_fields(path, number, record, set(kinds))
    for name, kind in kinds.items():
        value = record[name]
        if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{path}, line {number}: {name}={value!r} cannot be: make the record again.")


def _check_scores(path: str | os.PathLike[str], number: int, record: dict[str, Any]) -> None:
    """One score an episode, whose mean is the final one."""
    for name in ("final_scores", "area_scores"):
        if len(record[name]) != record["episodes"]:
            raise ValueError(
                f"{path}, line {number}: {name} holds {len(record[name])} episodes of {record['episodes']}."
            )
    mean = sum(record["final_scores"]) / (record["episodes"] * record["final_positions"])
    if abs(mean - record["final"]) > ROUNDING * max(1.0, abs(mean)):
        raise ValueError(f"{path}, line {number}: final={record['final']}, but its final_scores say {mean:.5f}.")


def _check_fields(path: str | os.PathLike[str], number: int, record: dict[str, Any], fields: set[Any]) -> None:
    if missing := sorted(str(field) for field in fields - record.keys()):
        raise ValueError(f"{path}, line {number} lacks {', '.join(missing)}.")
