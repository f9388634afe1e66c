"""`benchmark`: learners × cells of a suite → records. Each pair is an independent job, safe from the others."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.provenance import provenance
from gpicl_envs.evaluation.records import SCHEMA, FailedRecord, Record, ScoredRecord, SuiteClaim, distinct_names
from gpicl_envs.jobs.job import Outcome, Runner, one_line
from gpicl_envs.jobs.run import Report, open_records, run_jobs
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import learner_fingerprint, make_fitting, parse_spec
from gpicl_envs.suites.definitions import Cell, Suite, check_suite_record
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.oracle import Oracle

CHECK_LENGTH = 24  # positions of the artificial episodes of `check_learner`

Size = tuple[int, int]  # (D, K)
Checks = dict[tuple[str, Size], Outcome]  # (spec, size) → the learner's name and fingerprint, or why it is refused


class AvailableCell(NamedTuple):
    """A cell whose data are available: its (D, K), its base dataset's fingerprint, and whether the oracle covers it."""

    cell: Cell
    size: Size
    data: str | None
    has_oracle: bool


@dataclass(frozen=True, kw_only=True)
class LearnerJob:
    """Something done with a learner that is made to fit a cell.

    Args:
        cell: of a suite.
        spec: the learner, as for `make_fitting`.
        device: cpu or cuda.
        threads: of torch.
    """

    cell: Cell
    spec: str
    device: str = "cpu"
    threads: int = 1

    def run(self) -> Outcome:
        """Do it in this process. Whatever the learner raises becomes the reason of its failure."""
        torch.set_num_threads(self.threads)
        try:
            tasks = make_tasks(**self.cell.arguments | {"device": self.device})
            random.seed(0), np.random.seed(0), torch.manual_seed(0)  # a learner without a seed is the same in every job
            return Outcome(self.do(make_fitting(self.spec, {}, tasks), tasks))
        except (Exception, SystemExit) as error:  # a learner's own code may raise anything
            return Outcome(error=one_line(error))

    def do(self, learner: Any, tasks: EpisodeDistribution) -> Any:
        """Return the value of the job."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CheckJob(LearnerJob):
    """Checks that a learner of the cell's D and K may be scored; its value is the learner's name and fingerprint.

    Args:
        size: (D, K) of the cell.
    """

    size: Size

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"check of {self.spec}"

    def do(self, learner: Any, tasks: EpisodeDistribution) -> tuple[str, str]:
        """Return the learner's name and fingerprint."""
        if not isinstance(learner, Oracle):
            check_learner(learner, length=min(CHECK_LENGTH, max(2, tasks.length)))
        return learner.name, learner_fingerprint(self.spec, learner)


@dataclass(frozen=True, kw_only=True)
class CellJob(LearnerJob):
    """One learner on one cell; its value is the record.

    Args:
        suite: the suite's name.
        name: the learner's name in the table.
        fingerprint: sha256 of the learner's spec, code and weights; None if it could not be made.
        data: fingerprint of the cell's base dataset.
        refusal: why the learner may not be scored; None if it passed its check.
        batch_size: episodes at a time.
        command: what the user typed.
    """

    suite: str
    name: str
    fingerprint: str | None = None
    data: str | None = None
    refusal: str | None = None
    batch_size: int = 16
    command: str = ""

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"{self.name}, {self.cell.name}"

    @property
    def labels(self) -> dict[str, Any]:
        """What the job's records say, beside the result."""
        claim = SuiteClaim(self.suite, self.cell.name, self.cell.definition)
        return {"learner": self.name, "spec": self.spec, "fingerprint": self.fingerprint, "suite": claim}

    def do(self, learner: Any, tasks: EpisodeDistribution) -> ScoredRecord:
        """Return the record of the cell's episodes."""
        cell = self.cell
        curve = evaluate(
            learner,
            tasks,
            episodes=cell.episodes,
            seed=cell.seed,
            protocol=cell.protocol,
            batch_size=self.batch_size,
            final_positions=cell.final_positions,
        )
        return replace(curve.record(self.command), **self.labels)

    def matches(self, record: Record) -> bool:
        """Whether a record is of the same cell, data, learner, code and weights."""
        wanted = {**self.labels, "learner": record.learner, "data": self.data}  # the name may depend on the others'
        return all(getattr(record, name) == value for name, value in wanted.items())

    def failed(self, error: str) -> FailedRecord:
        """Return the record of a failure."""
        cell = self.cell
        return FailedRecord(
            **self.labels,
            env=cell.env,
            env_kwargs={name: value for name, value in cell.arguments.items() if name not in ("dataset", "function")},
            data=self.data,
            protocol=cell.protocol,
            seed=cell.seed,
            episodes=cell.episodes,
            provenance=provenance(self.device, self.command),
            error=error,
        )


def benchmark(
    suite: Suite,
    specs: Sequence[str],
    path: str | os.PathLike[str],
    run: Runner,
    *,
    device: str = "cpu",
    batch_size: int = 16,
    threads: int = 1,
    command: str = "",
    report: Report = lambda line: None,
) -> list[Record]:
    """Evaluate every learner on every cell of a suite whose data are available; return their records.

    A record is added to the file as soon as its job is done. Jobs whose record is there already (the same cell, data,
    learner, weights and code) are not run again, so a benchmark that was stopped is resumed; failed jobs run again. The
    oracle only has records of the cells whose best predictions are known.

    Args:
        suite: the suite.
        specs: the learners.
        path: the record file, made if needed.
        run: runs jobs: what `local_runner(...)` or `ray_runner(...)` yields.
        device: cpu or cuda.
        batch_size: episodes at a time.
        threads: torch's threads in each job.
        command: kept in the records.
        report: takes one line for each job.

    Raises:
        ValueError: no data are available, or the file holds something else or records of another definition.
    """
    specs = list(dict.fromkeys(specs))
    for spec in specs:
        parse_spec(spec)
    kept = open_records(path, ScoredRecord | FailedRecord, SCHEMA)
    for record in kept:
        check_suite_record(record)
    cells = _available_cells(suite, report)
    shared: dict[str, Any] = {"device": device, "threads": threads}
    checks = _check_learners(specs, cells, run, shared)
    shared |= {"suite": suite.name, "batch_size": batch_size, "command": command}
    jobs = _plan(specs, cells, checks, shared)
    checked = partial(_run_checked, run)
    records = run_jobs(jobs, path, kept, checked, describe=_final, unit="cells", report=report)
    return [replace(record, learner=job.name) for job, record in zip(jobs, records, strict=True)]


def _available_cells(suite: Suite, report: Report) -> list[AvailableCell]:
    """The cells whose data can be read here; reports what to do about the others."""
    found = []
    for cell in suite.cells:
        try:
            tasks = make_tasks(**cell.arguments)
        except MissingDataError as error:
            report(f"{cell.name} is left out: {error}")
            continue
        size = tasks.n_features, tasks.n_classes
        found.append(AvailableCell(cell, size, tasks.fingerprint, Oracle().covers(tasks)))
    if not found:
        raise ValueError(f"No data of {suite.name} are available: `gpicl data list` shows where each comes from.")
    return found


def _check_learners(
    specs: Sequence[str], cells: Sequence[AvailableCell], run: Runner, shared: dict[str, Any]
) -> Checks:
    """Check each learner on the first cell of each size."""
    first = {available.size: available.cell for available in reversed(cells)}
    jobs = [CheckJob(cell=cell, size=size, spec=spec, **shared) for spec in specs for size, cell in first.items()]
    return {(job.spec, job.size): outcome for job, outcome in run(jobs)}


def _plan(
    specs: Sequence[str], cells: Sequence[AvailableCell], checks: Checks, shared: dict[str, Any]
) -> list[CellJob]:
    """Every learner on every cell; the oracle where it covers the tasks."""
    own = {spec: outcome.value[0] for (spec, _), outcome in checks.items() if outcome.error is None}
    names = distinct_names({spec: own.get(spec, parse_spec(spec)[0]) for spec in specs})
    jobs = []
    for spec in specs:
        for cell, size, data, has_oracle in cells:
            if spec == Oracle.name and not has_oracle:
                continue
            check = checks[spec, size]
            fingerprint, refusal = (None, f"check: {check.error}") if check.error else (check.value[1], None)
            labels: dict[str, Any] = {"name": names[spec], "fingerprint": fingerprint, "refusal": refusal}
            jobs.append(CellJob(cell=cell, spec=spec, data=data, **labels, **shared))
    return jobs


def _run_checked(run: Runner, jobs: Sequence[CellJob]) -> Iterator[tuple[CellJob, Outcome]]:
    """Run the jobs whose learner passed its check; the others fail with its reason."""
    for job in jobs:
        if job.refusal is not None:
            yield job, Outcome(error=job.refusal)
    yield from run([job for job in jobs if job.refusal is None])


def _final(record: ScoredRecord) -> str:
    return f"{record.final.mean:.3f}"
