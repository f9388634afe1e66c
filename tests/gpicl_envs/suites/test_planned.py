from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
from small_jobs import fails, inline
from small_players import return_records

from gpicl_envs.evaluation.records import FailedRecord, Record, SuiteClaim
from gpicl_envs.evaluation.return_records import RETURN_SCHEMA, ReturnRecord
from gpicl_envs.jobs.job import Outcome
from gpicl_envs.suites.definitions import ProblemCell, Suite, find_suite
from gpicl_envs.suites.planned import PlannedJob, kept_records, run_planned

MADE = return_records(problems=4, length=5)[2]
CELL = ProblemCell("cell", MADE.env, MADE.protocol, MADE.episodes)
KIND = ReturnRecord | FailedRecord


@dataclass(frozen=True)
class GivesJob(PlannedJob[ProblemCell]):
    """Returns a record with what was planned."""

    def score(self) -> Outcome:
        return Outcome(replace(MADE, **self.labels))


def planned(name: str, **changes: object) -> GivesJob:
    shared = {field.name: getattr(MADE, field.name) for field in fields(Record)}
    return GivesJob(name, CELL, Record(**shared | {"learner": name, "spec": name, "fingerprint": "f"} | changes))


def test_planned_jobs_become_records_and_are_not_run_twice(tmp_path: Path):
    path, lines = tmp_path / "r.jsonl", []
    options = {"describe": lambda record: f"{record.total_return.mean:.1f}", "report": lines.append}
    jobs = [planned("a"), planned("b")]
    first = run_planned(jobs[:1], path, kept_records(path, KIND, RETURN_SCHEMA), inline, rerun=False, **options)
    both = run_planned(jobs, path, kept_records(path, KIND, RETURN_SCHEMA), inline, rerun=False, **options)
    assert both[0] == first[0] and [record.learner for record in both] == ["a", "b"]
    assert lines[1:] == ["1 of 2 cells are done already", f"[1/1] b, cell: {MADE.total_return.mean:.1f}"]
    run_planned(jobs, path, both, inline, rerun=True, **options)
    assert len(kept_records(path, KIND, RETURN_SCHEMA)) == 4


def test_a_failure_keeps_what_was_planned(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    (failed,) = run_planned([planned("a")], path, [], fails, describe=str, rerun=False, report=lambda line: None)
    assert isinstance(failed, FailedRecord) and (failed.error, failed.spec) == ("no memory", "a")
    assert kept_records(path, KIND, RETURN_SCHEMA) == [failed]


def test_records_match_by_learner_code_data_and_cell():
    job = planned("a")
    (record,) = (outcome.value for _, outcome in inline([job]))
    assert job.matches(record) and job.title == "a, cell"
    for changes in ({"spec": "b"}, {"fingerprint": "g"}, {"data": "d"}, {"suite": SuiteClaim("s", "c", "d")}):
        assert not job.matches(replace(record, **changes))


def test_records_of_another_definition_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gpicl_envs.suites import definitions

    monkeypatch.setitem(definitions.SUITES, "mine", Suite("mine", "", (CELL,)))
    assert find_suite("mine").cell("cell") is CELL
    job = planned("a", suite=SuiteClaim("mine", "cell", "0" * 64))
    run_planned([job], tmp_path / "r", [], inline, describe=str, rerun=False, report=lambda line: None)
    with pytest.raises(ValueError, match="another definition of that cell"):
        kept_records(tmp_path / "r", KIND, RETURN_SCHEMA)
