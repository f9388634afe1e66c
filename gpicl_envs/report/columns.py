"""Records side by side: which of them share a column, and which cannot."""

from collections.abc import Mapping, Sequence
from typing import Any

from gpicl_envs.comparisons import ORACLE, Record, best, compare, corrected_p_values, larger_is_better
from gpicl_envs.suites import check_suite_record, find_suite

Columns = dict[str, list[Record]]
QUESTIONS = {
    "seen": "tasks of meta-training",
    "unseen-task": "new tasks, test images",
    "unseen-dataset": "a dataset never seen",
}


def column_title(record: Record) -> str:
    """Return the title of a record's column: the suite's cell or the dataset, and the question."""
    suite = record.get("suite")
    dataset = record["env_kwargs"].get("dataset", record["env"].removeprefix("GPICL-").removesuffix("-v0"))
    return f"{suite['cell'] if suite else dataset}, {record['split']}"


def merge(files: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Return the records of several files as one list, for one report.

    In a file, the last record of a learner in a column counts, and a scored one before a failed one. Across files, the
    same learner (by its code and weights) counts once, by its newest record; two that are not the same are a conflict.

    Raises:
        ValueError: two learners of one name, or a record of another definition of its suite's cell.
    """
    merged: dict[tuple[str, str], tuple[str, Record]] = {}
    for name, records in files.items():
        newest: dict[tuple[str, str], Record] = {}
        for record in records:
            check_suite_record(record)
            key = column_title(record), record["learner"]
            if key not in newest or record["status"] == "ok" or newest[key]["status"] != "ok":
                newest[key] = record
        for key, record in newest.items():
            other_name, other = merged.get(key, (name, record))
            if other.get("identity") != record.get("identity") and {other["status"], record["status"]} == {"ok"}:
                raise ValueError(
                    f"{other_name} and {name} have different learners of the name {key[1]!r} in {key[0]} (their code "
                    "or weights differ): give one of them another name, or report one file alone."
                )
            if (record["status"] == "ok", record.get("date", "")) >= (other["status"] == "ok", other.get("date", "")):
                merged[key] = name, record
    return [record for _, record in merged.values()]


def group(records: Sequence[Record]) -> Columns:
    """Return column title → its records, best first and failed ones last; a column is one environment and question.

    Raises:
        ValueError: two records of a column were made on different episodes, and cannot be compared.
    """
    if not records:
        raise ValueError("There are no records to report.")
    columns: dict[str, dict[str, Record]] = {}
    for record in records:
        columns.setdefault(column_title(record), {})[record["learner"]] = record
    for title, rows in columns.items():
        first, *others = [_definition(row) for row in rows.values() if row["status"] == "ok"] or [{}]
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
    return row["env_kwargs"] | shared | {"suite": suite.get("name"), "definition": suite.get("definition")}


def _place(row: Record) -> tuple[bool, float]:
    if row["status"] != "ok":
        return True, 0.0
    return False, -row["final"] if larger_is_better(row) else row["final"]


def learners(columns: Columns) -> list[str]:
    """All learners, in the order of the first column, then of the next."""
    return list(dict.fromkeys(row["learner"] for rows in columns.values() for row in rows))


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
    if row["learner"] == ORACLE:
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
        "worse (sign-flip test, Holm's correction within the column, 5 %)."
    )
