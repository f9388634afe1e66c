"""Records side by side: which of them share a column, and which cannot."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpicl_envs.evaluation.comparisons import (
    Record,
    best,
    compare,
    corrected_p_values,
    knows_the_task,
    larger_is_better,
)
from gpicl_envs.suites.definitions import check_suite_record, find_suite

Columns = dict[str, list[Record]]


def column_title(record: Record) -> str:
    """Return the title of a record's column: the suite's cell or the dataset, and the protocol."""
    suite = record.get("suite")
    dataset = record["env_kwargs"].get("dataset", record["env"].removeprefix("GPICL-").removesuffix("-v0"))
    return f"{suite['cell'] if suite else dataset}, {record['protocol']}"


def merge(files: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Return the records of several files as one list, for one report.

    In a file, the last record of a learner on the same episodes counts, and a scored one before a failed one. Across
    files, the same learner (by its code and weights) counts once, by its newest record.

    Raises:
        ValueError: two learners of one name (in a file, or across files), records of two suites, or a record of another
            definition of its suite's cell.
    """
    merged: dict[tuple[str, str], tuple[str, Record]] = {}
    failed: dict[tuple[str, str], Record] = {}
    for name, records in files.items():
        newest: dict[tuple[str, str], Record] = {}
        for record in records:
            check_suite_record(record)
            if record["status"] == "ok":
                newest[json.dumps(_definition(record), sort_keys=True), record["learner"]] = record
            else:
                failed[column_title(record), record["learner"]] = record
        _check_one_learner_a_name(name, newest.values())
        for key, record in newest.items():
            other_name, other = merged.get(key, (name, record))
            if not _same_learner(other, record):
                raise ValueError(
                    f"{other_name} and {name} have different learners of the name {key[1]!r} in {column_title(record)} "
                    "(their code or weights differ): give one of them another name, or report one file alone."
                )
            if record.get("date", "") >= other.get("date", ""):
                merged[key] = name, record
    scored = [record for _, record in merged.values()]
    known = {(column_title(record), record["learner"]) for record in scored}
    kept = scored + [record for key, record in failed.items() if key not in known]
    suites = sorted({record["suite"]["name"] for record in kept if record.get("suite")})
    if len(suites) > 1:
        raise ValueError(f"The records are of the suites {' and '.join(suites)}: report each alone.")
    return kept


def _same_learner(one: Record, other: Record) -> bool:
    """By code and weights; where no fingerprint was kept, by its scores."""
    if one.get("fingerprint") is None or other.get("fingerprint") is None:
        return bool(one["final_scores"] == other["final_scores"])
    return bool(one["fingerprint"] == other["fingerprint"])


def _check_one_learner_a_name(file: str, records: Iterable[Record]) -> None:
    """One name must not stand for two learners in the columns of a table; for other D or K, its weights are others."""
    found: dict[Any, Record] = {}
    for record in records:
        if record["status"] != "ok" or record.get("fingerprint") is None:
            continue
        size = (record["env_kwargs"].get("n_features"), record["env_kwargs"].get("n_classes"))
        first = found.setdefault((record["learner"], size), record)
        if not _same_learner(first, record):
            raise ValueError(
                f"{file} has two learners of the name {record['learner']!r}: in {column_title(first)} and in "
                f"{column_title(record)} their code or weights differ. Run one on all columns, into a new file."
            )


def group(records: Sequence[Record]) -> Columns:
    """Return column title → its records, best first and failed ones last; a column is one environment and protocol.

    Raises:
        ValueError: two records of a column were made on different episodes, and cannot be compared.
    """
    if not records:
        raise ValueError("There are no records to report.")
    columns: dict[str, dict[str, Record]] = {}
    definitions: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        title = column_title(record)
        columns.setdefault(title, {})[record["learner"]] = record
        definitions.setdefault(title, []).extend([_definition(record)] if record["status"] == "ok" else [])
    for title, made in definitions.items():
        first, *others = made or [{}]
        for other in others:
            if changed := [
                f"{key}={first.get(key)!r} and {other[key]!r}" for key in other if first.get(key) != other[key]
            ]:
                raise ValueError(
                    f"The records of {title} were made on different episodes ({'; '.join(changed)}), so they cannot "
                    "stand in one column: evaluate again with one setting into a new file (--out), and report that."
                )
    titles = sorted(columns, key=lambda title: _order(next(iter(columns[title].values()))))
    return {title: sorted(columns[title].values(), key=_place) for title in titles}


def _order(record: Record) -> int:
    """Where a suite has the record's cell; the columns of no suite stay as they came."""
    suite = record.get("suite")
    return [cell.name for cell in find_suite(suite["name"]).cells].index(suite["cell"]) if suite else 0


def _definition(row: Record) -> dict[str, Any]:
    """All that makes the episodes of a record what they are."""
    suite = row.get("suite") or {}
    shared = {key: row.get(key) for key in ("seed", "episodes", "data", "final_positions")}
    return (
        {"env": row["env"], "protocol": row["protocol"]}
        | row["env_kwargs"]
        | shared
        | {"suite": suite.get("name"), "definition": suite.get("definition")}
    )


def _place(row: Record) -> tuple[bool, float]:
    if row["status"] != "ok":
        return True, 0.0
    return False, -row["final"] if larger_is_better(row) else row["final"]


def learners(columns: Columns) -> list[str]:
    """All learners, in the order of the first column, then of the next."""
    return list(dict.fromkeys(row["learner"] for rows in columns.values() for row in rows))


def oracles(columns: Columns) -> set[str]:
    """Return the names of those that are shown the hidden task."""
    return {row["learner"] for rows in columns.values() for row in rows if knows_the_task(row)}


def find_row(rows: list[Record], learner: str) -> Record | None:
    """Return the learner's record in a column, if it has one."""
    return next((row for row in rows if row["learner"] == learner), None)


def scale(row: Record) -> float:
    """What a value of the record's metric is multiplied by to be shown: accuracy in %."""
    return 100.0 if larger_is_better(row) else 1.0


def cell(row: Record | None) -> str:
    """Final accuracy in % (or squared error) with half the width of its interval; empty without a record."""
    if row is None:
        return ""
    if row["status"] != "ok":
        return "failed"
    digits = 1 if larger_is_better(row) else 3
    half = scale(row) * (row["final_high"] - row["final_low"]) / 2
    return f"{scale(row) * row['final']:.{digits}f} ± {half:.{digits}f}"


def difference(row: Record, rows: Sequence[Record]) -> str:
    """What a learner has over the best of its column, with its interval."""
    top = best(rows)
    if row["status"] != "ok" or top is None:
        return ""
    if row is top:
        return "best"
    if knows_the_task(row):
        return "knows the task"
    digits = 1 if larger_is_better(row) else 3
    mean, low, high = (scale(row) * value for value in compare(row, top))
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def leaders(rows: Sequence[Record], level: float) -> set[str]:
    """Return the best of a column, and all that are not significantly worse at this level."""
    top = best(rows)
    chosen = {learner for learner, p in corrected_p_values(rows).items() if p >= level}
    return chosen | ({top["learner"]} if top else set())


def failures(columns: Columns) -> list[str]:
    """One line for each failed record: who, where, why."""
    return [
        f"{row['learner']}, {title}: {row['error']}"
        for title, rows in columns.items()
        for row in rows
        if row["status"] != "ok"
    ]


def facts(columns: Columns, learner: str) -> tuple[str, str]:
    """Return the learner's parameters and state size; dashes where it never got so far."""
    scored = [row for rows in columns.values() for row in rows if row["learner"] == learner and row["status"] == "ok"]
    if not scored:
        return "–", "–"
    return f"{scored[0]['n_parameters']:,}", f"{scored[0]['state_size']:,}"


def caption(columns: Columns) -> str:
    """Say what the numbers of the table are."""
    rows = [row for rows in columns.values() for row in rows if row["status"] == "ok"]
    if not rows:
        return "No learner got a score."
    what = sorted({"accuracy in %" if larger_is_better(row) else "mean squared error" for row in rows})
    positions = sorted({row["final_positions"] for row in rows})
    where = " or ".join("the last position" if n == 1 else f"the last {n} positions" for n in positions)
    episodes = " or ".join(f"{n:,}" for n in sorted({row["episodes"] for row in rows}))
    return (
        f"{' or '.join(what).capitalize()} over {where}, with half the width of its 95 % bootstrap interval; "
        f"{episodes} episodes a cell, the same for all learners of a column. In brackets the difference to the best of "
        "the column, paired on these episodes, with its 95 % interval. Bold: the best, and those not significantly "
        "worse (sign-flip test, Holm's correction over all pairs of the column, 5 %; intervals are not corrected, so "
        "that of a bold cell can exclude 0)."
    )
