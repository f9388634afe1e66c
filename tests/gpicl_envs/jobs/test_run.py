from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from full_disk import full_disk
from small_jobs import fails, inline

from gpicl_envs.datasets import files
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl
from gpicl_envs.jobs.job import Outcome
from gpicl_envs.jobs.run import run_jobs


@dataclass(frozen=True)
class Square:
    number: int
    value: int = 0
    error: str = ""
    schema: str = "square-1"

    @property
    def status(self) -> str:
        return "failed" if self.error else "ok"


@dataclass(frozen=True)
class SquareJob:
    number: int

    @property
    def title(self) -> str:
        return f"square of {self.number}"

    def run(self) -> Outcome:
        return Outcome(error="negative") if self.number < 0 else Outcome(Square(self.number, self.number**2))

    def matches(self, record: Square) -> bool:
        return record.number == self.number

    def failed(self, error: str) -> Square:
        return Square(self.number, error=error)


def do(path: Path, *numbers: int, run: Any = inline, **options: Any) -> tuple[list[Square], list[str]]:
    lines: list[str] = []
    append_jsonl(path, [])
    kept = read_jsonl(path, Square, "square-1")
    jobs = [SquareJob(number) for number in numbers]
    described = {"describe": lambda record: str(record.value), "report": lines.append} | options
    return run_jobs(jobs, path, kept, run, **described), lines


def test_every_job_has_a_record_in_order_and_a_line(tmp_path: Path):
    def backwards(jobs):
        yield from reversed(list(inline(jobs)))

    found, lines = do(tmp_path / "r.jsonl", 3, -1, 2, run=backwards)
    assert found == [Square(3, 9), Square(-1, error="negative"), Square(2, 4)]
    assert lines == ["[1/3] square of 2: 4", "[2/3] square of -1: failed: negative", "[3/3] square of 3: 9"]
    assert read_jsonl(tmp_path / "r.jsonl", Square, "square-1") == found[::-1]


def test_what_was_stopped_is_resumed_job_by_job(tmp_path: Path):
    path = tmp_path / "r.jsonl"

    def stops(jobs):
        for count, pair in enumerate(inline(jobs)):
            if count == 2:
                raise KeyboardInterrupt
            yield pair

    with pytest.raises(KeyboardInterrupt):
        do(path, 1, 2, 3, run=stops)
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"schema": "squ')  # killed while writing
    found, lines = do(path, 1, 2, 3, unit="squares")
    assert [record.value for record in found] == [1, 4, 9]
    assert lines == ["2 of 3 squares are done already", "[1/1] square of 3: 9"]
    assert do(path, 1, 2, 3)[1] == ["3 of 3 jobs are done already"]


def test_a_failed_job_runs_again_and_a_failure_does_not_replace_a_result(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    assert do(path, 4, run=fails)[0] == [Square(4, error="no memory")]
    assert do(path, 4)[0] == [Square(4, 16)]
    again, lines = do(path, 4, run=fails, is_complete=lambda job, record: False)
    assert again == [Square(4, 16)] and lines == ["[1/1] square of 4: failed: no memory"]


def test_a_result_that_is_not_complete_is_made_again(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    append_jsonl(path, [Square(5, 24), Square(6, 36)])
    found, lines = do(path, 5, 6, is_complete=lambda job, record: record.value == job.number**2)
    assert found == [Square(5, 25), Square(6, 36)] and len(lines) == 2


def test_a_record_that_cannot_be_written_is_told_and_ends_the_run(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    do(path, 1)
    lines: list[str] = []
    with full_disk(path.stat().st_size + 10), pytest.raises(OSError, match="r.jsonl cannot be written"):
        do(path, 1, 2, report=lines.append)
    assert lines[-1] == "[1/1] square of 2: 4" and read_jsonl(path, Square, "square-1") == [Square(1, 1)]


def test_a_second_run_into_the_same_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(files, "PATIENCE", 0.1)

    def is_held(jobs):
        with ThreadPoolExecutor(1) as other, pytest.raises(ValueError, match="r.jsonl is in use by another process"):
            other.submit(do, path, 3).result()  # another thread is refused as another process is
        yield from inline(jobs)

    assert do(path, 2, run=is_held)[0] == [Square(2, 4)]
    assert do(path, 3)[0] == [Square(3, 9)]


def test_a_record_of_something_else_is_a_failure(tmp_path: Path):
    def mixes(jobs):
        for job in jobs:
            yield job, Outcome(Square(job.number + 1, 1))

    found, lines = do(tmp_path / "r.jsonl", 5, run=mixes)
    assert found[0].status == "failed" and "its record is of another job" in lines[0]
