"""Records as columns of a table: which of them share one, and which cannot."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpicl_envs.evaluation.comparisons import scored
from gpicl_envs.evaluation.records import FailedRecord, Record, ScoredRecord
from gpicl_envs.evaluation.return_records import ReturnRecord
from gpicl_envs.registration import environments, rl_environments
from gpicl_envs.suites.definitions import check_suite_record, find_suite

Columns = dict[str, list[Record]]


def column_title(record: Record) -> str:
    """Return the title of a record's column: the suite's cell or the dataset, and the protocol."""
    named = [record.env_kwargs[name] for name in ("dataset", "table") if name in record.env_kwargs]
    shown = named[0] if named else record.env.removeprefix("GPICL-").removesuffix("-v0")
    return f"{record.suite.cell if record.suite else shown}, {record.protocol}"


def learners(columns: Columns) -> list[str]:
    """Return all learners, in the order of the first column, then of the next."""
    return list(dict.fromkeys(record.learner for records in columns.values() for record in records))


def scored_columns(columns: Columns) -> dict[str, list[ScoredRecord]]:
    """Return the columns without failed records; columns that have no other records are left out."""
    kept = {title: scored(records) for title, records in columns.items()}
    return {title: records for title, records in kept.items() if records}


def return_columns(columns: Columns) -> dict[str, list[ReturnRecord]]:
    """Return the columns of in-context RL, as `scored_columns` does the others."""
    kept = {title: [one for one in records if isinstance(one, ReturnRecord)] for title, records in columns.items()}
    return {title: records for title, records in kept.items() if records}


def group(records: Sequence[Record]) -> Columns:
    """Return column title → its records, best first and failed ones last; a column is one environment and protocol.

    Raises:
        ValueError: two records of a column were made on different episodes.
    """
    if not records:
        raise ValueError("There are no records to report.")
    columns: dict[str, dict[str, Record]] = {}
    definitions: dict[str, list[dict[str, Any]]] = {}
    for record in _with_all_arguments(records, records):
        title = column_title(record)
        columns.setdefault(title, {})[record.learner] = record
        if not isinstance(record, FailedRecord):
            definitions.setdefault(title, []).append(record.definition)
    for title, (first, *others) in definitions.items():
        for other in others:
            if changed := [key for key in first | other if first.get(key) != other.get(key)]:
                shown = "; ".join(f"{key}={first.get(key)!r} and {other.get(key)!r}" for key in changed)
                raise ValueError(
                    f"The records of {title} were made on different episodes ({shown}), so they cannot stand in one "
                    "column: evaluate again with one setting into a new file (--out), and report that."
                )
    titles = sorted(columns, key=lambda title: _place_of_column(next(iter(columns[title].values()))))
    return {title: sorted(columns[title].values(), key=lambda record: -record.goodness) for title in titles}


def merge(files: Mapping[str, Sequence[Record]]) -> list[Record]:
    """Return the records of several files as one list, for one report.

    In a file, the last record of a learner on the same episodes counts, a failed one only if no other exists. Across
    files, the newest record of the same learner (by code and weights) counts.

    Raises:
        ValueError: two learners have the same name, or the records are of two suites, or of another definition of a
            suite's cell.
    """
    merged: dict[tuple[str, str], tuple[str, Record]] = {}
    failed: dict[tuple[str, str], FailedRecord] = {}
    all_records = [record for records in files.values() for record in records]
    for name, records in files.items():
        newest: dict[tuple[str, str], Record] = {}
        for record in _with_all_arguments(records, all_records):
            check_suite_record(record)
            if isinstance(record, FailedRecord):
                failed[column_title(record), record.learner] = record
            else:
                newest[json.dumps(record.definition, sort_keys=True), record.learner] = record
        _check_one_learner_a_name(name, newest.values())
        for key, record in newest.items():
            other_name, other = merged.get(key, (name, record))
            if not _is_same_learner(other, record):
                raise ValueError(
                    f"{other_name} and {name} have different learners of the name {key[1]!r} in {column_title(record)} "
                    "(their code or weights differ): give one of them another name, or report one file alone."
                )
            if record.provenance.date >= other.provenance.date:
                merged[key] = name, record
    kept: list[Record] = [record for _, record in merged.values()]
    known = {(column_title(record), record.learner) for record in kept}
    kept += [record for key, record in failed.items() if key not in known]
    suites = sorted({record.suite.name for record in kept if record.suite})
    if len(suites) > 1:
        raise ValueError(f"The records are of the suites {' and '.join(suites)}: report each alone.")
    return kept


def _with_all_arguments(records: Sequence[Record], others: Sequence[Record]) -> list[Record]:
    """The records, each with the default of every argument that only others have: it did not exist yet."""
    names: dict[str, set[str]] = {}
    for each in others:
        if not isinstance(each, FailedRecord):
            names.setdefault(each.env, set()).update(each.env_kwargs)
    complete: list[Record] = []
    for record in records:
        missing = names.get(record.env, set()) - record.env_kwargs.keys()
        if missing and not isinstance(record, FailedRecord):
            complete.append(replace(record, env_kwargs=record.env_kwargs | _defaults(record.env, missing)))
        else:
            complete.append(record)
    return complete


def _defaults(env: str, names: Iterable[str]) -> dict[str, Any]:
    """The defaults of these arguments of an environment's distribution, for those that it has."""
    from gpicl_envs.rl.kinds import PROBLEMS  # needs torch, which most reports do not
    from gpicl_envs.tasks import KINDS

    if env in environments():
        parameters = inspect.signature(KINDS[next(iter(environments()[env].arguments))]).parameters
    else:
        parameters = inspect.signature(PROBLEMS[rl_environments()[env].arguments["problem"]]).parameters
    return {name: parameters[name].default for name in names if name in parameters}


def _is_same_learner(one: Record, other: Record) -> bool:
    """Compares code and weights; the scores, if a fingerprint is not known."""
    if one.fingerprint is None or other.fingerprint is None:
        return one.scores == other.scores
    return one.fingerprint == other.fingerprint


def _check_one_learner_a_name(file: str, records: Iterable[Record]) -> None:
    """Raise ValueError if a name stands for two learners; for another D or K the weights may differ."""
    found: dict[Any, Record] = {}
    for record in records:
        if record.fingerprint is None:
            continue
        first = found.setdefault((record.learner, record.size), record)
        if not _is_same_learner(first, record):
            raise ValueError(
                f"{file} has two learners of the name {record.learner!r}: in {column_title(first)} and in "
                f"{column_title(record)} their code or weights differ. Run one on all columns, into a new file."
            )


def _place_of_column(record: Record) -> int:
    """The place of the record's cell in its suite; columns without a suite keep their order."""
    if record.suite is None:
        return 0
    return [cell.name for cell in find_suite(record.suite.name).cells].index(record.suite.cell)
