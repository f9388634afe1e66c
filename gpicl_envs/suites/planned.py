"""What benchmarks of learners and of players share: jobs that are planned as records without a result, and resumed."""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
import torch

from gpicl_envs.errors import one_line
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl
from gpicl_envs.evaluation.records import FailedRecord, Record
from gpicl_envs.jobs.job import Outcome, Runner
from gpicl_envs.jobs.run import Report, run_jobs
from gpicl_envs.suites.definitions import C, check_suite_record


def seed_globals() -> None:
    """Seed the global generators: a learner or player without a seed of its own is the same in every job."""
    random.seed(0), np.random.seed(0), torch.manual_seed(0)


def outcome_of(call: Callable[[], Any], threads: int) -> Outcome:
    """Call what runs code of a learner or player, with so many threads of torch; an exception becomes the outcome."""
    torch.set_num_threads(threads)
    try:
        return Outcome(call())
    except BaseException as error:  # their code may raise anything; a real Ctrl-C does not reach a job
        return Outcome(error=one_line(error))


@dataclass(frozen=True)
class PlannedJob(ABC, Generic[C]):
    """One learner or player on one cell; its value is the record.

    Args:
        spec: what is evaluated; the record has it without secrets.
        cell: of a suite.
        planned: the record without its result.
        refusal: why it may not be scored; None if it passed its check.
        threads: torch's threads.
    """

    spec: str
    cell: C
    planned: Record
    refusal: str | None = None
    threads: int = 1

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"{self.planned.learner}, {self.cell.name}"

    def run(self) -> Outcome:
        """Score in this process, unless it is refused."""
        return self.score() if self.refusal is None else Outcome(error=self.refusal)

    @abstractmethod
    def score(self) -> Outcome:
        """Evaluate the learner or player; the value is the record."""

    @property
    def labels(self) -> dict[str, Any]:
        """What the record has of the plan, in place of what the evaluation knows."""
        return {name: getattr(self.planned, name) for name in ("learner", "spec", "fingerprint", "suite")}

    def matches(self, record: Record) -> bool:
        """Whether a record is of the same cell, data, learner, code and weights."""
        names = ("spec", "fingerprint", "suite", "data")
        return all(getattr(record, name) == getattr(self.planned, name) for name in names)

    def failed(self, error: str) -> FailedRecord:
        """Return the record of a failure."""
        return FailedRecord(**vars(self.planned), error=error)


def kept_records(path: str | os.PathLike[str], kind: Any, schema: str) -> list[Record]:
    """Return what a record file holds, which is made if needed.

    Args:
        path: the file.
        kind: the union of the records that it may hold.
        schema: of these.

    Raises:
        OSError: it cannot be written.
        ValueError: it holds other lines, or records of another definition of their cell.
    """
    append_jsonl(path, [])  # if nothing can be written, this fails now
    kept: list[Record] = read_jsonl(path, kind, schema)
    for record in kept:
        check_suite_record(record)
    return kept


def run_planned(
    jobs: Sequence[Any],
    path: str | os.PathLike[str],
    kept: Sequence[Record],
    run: Runner,
    *,
    describe: Callable[[Any], str],
    rerun: bool,
    report: Report,
) -> list[Record]:
    """Run the planned jobs that have no record yet; return one record for each job, under its planned name.

    Args:
        jobs: each a `PlannedJob`.
        path: the record file.
        kept: what it holds.
        run: a runner of jobs.
        describe: a scored record → a few words for the report.
        rerun: whether jobs that have a record run all the same.
        report: takes one line for each job.
    """
    options: dict[str, Any] = {"is_complete": lambda job, record: not rerun, "unit": "cells", "report": report}
    records = run_jobs(jobs, path, kept, run, describe=describe, **options)
    return [replace(record, learner=job.planned.learner) for job, record in zip(jobs, records, strict=True)]
