"""Learners × cells of a suite → records. Each pair is one job: independent, resumable, and safe from the others.

`benchmark` plans the jobs and keeps what they return; where they run is the business of `isolation.py` (processes of
this machine) or `cluster.py` (Ray), which hand back every job with its outcome in whatever order they finish.
"""

import os
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.provenance import machine_name, package_versions, source_commit
from gpicl_envs.evaluation.records import SCHEMA, append_records, drop_partial_line, read_records
from gpicl_envs.jobs.job import Outcome, Runner, one_line
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.suites.definitions import Cell, Suite, check_suite_record
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.oracle import Oracle

CHECK_LENGTH = 24  # positions of the trial episodes of `check_learner`


@dataclass(frozen=True)
class Job:
    """One learner on one cell; or, without a name, the check that it may be scored at all.

    Args:
        suite: the suite's name.
        cell: what to evaluate on.
        spec: the learner, as `LearnerSpec.parse` reads it.
        name: the learner's name in the table; None to check it first.
        fingerprint: hash of the learner's code and weights.
        device: cpu or cuda.
        batch_size: episodes at a time.
        threads: of torch.
        command: what the user typed.
    """

    suite: str
    cell: Cell
    spec: str
    name: str | None = None
    fingerprint: str | None = None
    device: str = "cpu"
    batch_size: int = 16
    threads: int = 1
    command: str = ""

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"{self.name}, {self.cell.name}" if self.name else f"check of {self.spec}"

    def run(self) -> Outcome:
        """Check or evaluate in this process. Whatever the learner raises becomes the reason of its failure."""
        torch.set_num_threads(self.threads)
        try:
            tasks = make_tasks(**self.cell.arguments | {"device": self.device})
            random.seed(0), np.random.seed(0), torch.manual_seed(0)  # a learner without a seed is the same in every job
            learner = LearnerSpec.parse(self.spec).make_for(tasks)
            return self._check(learner, tasks) if self.name is None else self._evaluate(learner, tasks)
        except (Exception, SystemExit) as error:  # a learner's own code: anything may come
            return Outcome(error=one_line(error))

    def _check(self, learner: Any, tasks: EpisodeDistribution) -> Outcome:
        if not isinstance(learner, Oracle):
            check_learner(learner, length=min(CHECK_LENGTH, max(2, tasks.length)))
        return Outcome({"name": learner.name, "fingerprint": LearnerSpec.parse(self.spec).fingerprint(learner)})

    def _evaluate(self, learner: Any, tasks: EpisodeDistribution) -> Outcome:
        if isinstance(learner, Oracle) and not learner.covers(tasks):
            return Outcome()
        curve = evaluate(
            learner,
            tasks,
            episodes=self.cell.episodes,
            seed=self.cell.seed,
            protocol=self.cell.protocol,
            batch_size=self.batch_size,
            final_positions=self.cell.final_positions,
        )
        return Outcome(curve.record() | _header(self))


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
    report: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Evaluate every learner on every cell of a suite whose data are at hand; return their records.

    A record is added to the file as soon as its job is done. Jobs whose record is there already (the same cell, data,
    learner, weights and code) are not run again, so a benchmark that was stopped goes on; failed ones are tried again.

    Args:
        suite: the suite.
        specs: the learners.
        path: the record file, made if needed.
        run: runs jobs: what `isolation.local_runner(...)` or `cluster.ray_runner(...)` gives.
        device: cpu or cuda.
        batch_size: episodes at a time.
        threads: torch's threads in each job.
        command: kept in the records.
        report: told one line for each job.

    Raises:
        ValueError: no data are at hand, the file is no record file, or holds records of another definition.
    """
    specs = list(dict.fromkeys(specs))
    for spec in specs:
        LearnerSpec.parse(spec)
    append_records(path, [])  # fails now where nothing can be written
    drop_partial_line(path)
    kept = read_records(path) if Path(path).stat().st_size else []
    for record in kept:
        check_suite_record(record)
    cells = [cell for cell in suite.cells if _at_hand(cell, report)]
    if not cells:
        raise ValueError(f"No data of {suite.name} are at hand: `gpicl data list` shows where each comes from.")

    shared: dict[str, Any] = {"device": device, "batch_size": batch_size, "threads": threads, "command": command}
    checks = [Job(suite.name, cell, spec, **shared) for spec in specs for cell in _one_of_each_size(cells)]
    found: dict[tuple[str, Any], Outcome] = {}
    for done, outcome in run(checks):
        found[done.spec, _size(done.cell)] = outcome
        if outcome.error is not None:
            report(f"{done.title} failed: {outcome.error}")
    names = _names(specs, found)
    records, jobs = [], []
    for spec in specs:
        for cell in cells:
            outcome = found[spec, _size(cell)]
            fingerprint = (outcome.value or {}).get("fingerprint")
            planned = Job(suite.name, cell, spec, names[spec], fingerprint, **shared)
            if outcome.error is not None:
                records.append(failed_record(planned, f"check: {outcome.error}"))
            elif (finished := _find(kept, planned)) is not None:
                records.append(finished | {"learner": planned.name})
            else:
                jobs.append(planned)
    append_records(path, [record for record in records if record["status"] == "failed"])
    if len(jobs) < len(specs) * len(cells):
        report(f"{len(specs) * len(cells) - len(jobs)} of {len(specs) * len(cells)} cells need no run")
    for count, (done, outcome) in enumerate(run(jobs), start=1):
        if outcome == Outcome():
            continue
        record = outcome.value if outcome.error is None else failed_record(done, outcome.error)
        append_records(path, [record])
        records.append(record)
        result = f"failed: {outcome.error}" if outcome.error else f"{record['final']:.3f}"
        report(f"[{count}/{len(jobs)}] {done.title}: {result}")
    return sorted(records, key=lambda record: _place(record, suite, specs))


def failed_record(job: Job, error: str) -> dict[str, Any]:
    """Return the record of a job that has no scores, with the reason."""
    arguments = {name: value for name, value in job.cell.arguments.items() if name not in ("dataset", "function")}
    return {
        "schema": SCHEMA,
        "status": "failed",
        "error": error,
        "learner": job.name or job.spec,
        "env": job.cell.env,
        "env_kwargs": arguments,
        "protocol": job.cell.protocol,
        "seed": job.cell.seed,
        "episodes": job.cell.episodes,
        "data": None,
        "device": job.device,
        "versions": package_versions(),
        "commit": source_commit(),
        **_header(job),
    }


def _header(job: Job) -> dict[str, Any]:
    """What a record of a suite says beside the scores."""
    named = {"learner": job.name} if job.name else {}
    return named | {
        "spec": job.spec,
        "fingerprint": job.fingerprint,
        "suite": {"name": job.suite, "cell": job.cell.name, "definition": job.cell.definition},
        "machine": machine_name(job.device),
        "command": job.command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _at_hand(cell: Cell, report: Callable[[str], None]) -> bool:
    """Whether the cell's data can be read here; says what to do where they cannot."""
    try:
        make_tasks(**cell.arguments)
    except MissingDataError as error:
        report(f"{cell.name} is left out: {error}")
        return False
    return True


def _size(cell: Cell) -> tuple[Any, ...]:
    """(D, K) of a cell: a learner is made and checked for each."""
    tasks = make_tasks(**cell.arguments)
    return tasks.n_features, tasks.n_classes


def _one_of_each_size(cells: Iterable[Cell]) -> list[Cell]:
    return list({_size(cell): cell for cell in reversed(list(cells))}.values())


def _names(specs: Sequence[str], found: dict[tuple[str, Any], Outcome]) -> dict[str, str]:
    """Each spec's name in the table: the learner's own, with the spec where two have the same."""
    own = {spec: LearnerSpec.parse(spec).name for spec in specs}
    for (spec, _), outcome in found.items():
        if outcome.value is not None:
            own[spec] = outcome.value["name"]
    names = list(own.values())
    return {spec: name if names.count(name) == 1 else f"{name} ({spec})" for spec, name in own.items()}


def _find(kept: Sequence[dict[str, Any]], job: Job) -> dict[str, Any] | None:
    """The newest record of this very job, if there is one."""
    data = make_tasks(**job.cell.arguments).fingerprint
    wanted = (job.spec, job.fingerprint, job.suite, job.cell.definition, data)
    for record in reversed(kept):
        suite = record.get("suite") or {}
        made = (record.get("spec"), record.get("fingerprint"), suite.get("name"), suite.get("definition"))
        if record["status"] == "ok" and (*made, record.get("data")) == wanted:
            return record
    return None


def _place(record: dict[str, Any], suite: Suite, specs: Sequence[str]) -> tuple[int, int]:
    return specs.index(record["spec"]), [cell.name for cell in suite.cells].index(record["suite"]["cell"])


def command_line() -> str:
    """Return what the user typed, with the program's name alone for its path."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
