"""Records as lines of JSON: dataclasses, written as they are and validated when they are read."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from gpicl_envs.evaluation.provenance import machine_name, package_versions, source_commit
from gpicl_envs.evaluation.records import append_records

Kind = TypeVar("Kind")


class Estimate(NamedTuple):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


class Band(NamedTuple):
    """An estimate at each of N positions: three lists of N numbers."""

    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from.

    Args:
        device: cpu or cuda.
        machine: the name of its processor or GPU.
        command: what the user typed.
        date: ISO 8601, UTC.
        versions: package → version.
        commit: of the source, with `+` if it was changed; None outside a git checkout.
    """

    device: str
    machine: str
    command: str
    date: str
    versions: dict[str, str]
    commit: str | None = None


def provenance(device: str, command: str) -> Provenance:
    """Return the provenance of a record that is made now."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Provenance(device, machine_name(device), command, date, package_versions(), source_commit())


def append_jsonl(path: str | os.PathLike[str], records: Iterable[Any]) -> None:
    """Append dataclasses to a file as lines of JSON, creating the file and its folder if needed."""
    append_records(path, map(asdict, records))


def read_jsonl(path: str | os.PathLike[str], kind: type[Kind], schema: str) -> list[Kind]:
    """Return the records of a file; a missing field reads as its default.

    Raises:
        ValueError: a line has another schema or is not such a record; the message names the file, the line and why.
    """
    adapter, records = TypeAdapter(kind), []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            given = json.loads(line).get("schema")
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{where} is not a record ({error}): remove the line, or the file.") from None
        if given != schema:
            raise ValueError(
                f"{where} has the schema {given!r}, but this version reads {schema!r}: make the records again, in a "
                "new file."
            )
        try:
            records.append(adapter.validate_json(line, strict=True))
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise ValueError(f"{where} is not a record ({wrong}): remove the line, or the file.") from None
    return records
