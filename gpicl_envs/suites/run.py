"""`benchmark`: learners × cells of a suite → records. Each pair is an independent job; a failure stops no other."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gpicl_envs.errors import MissingDataError, check_integer
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.leakage import altered_logits
from gpicl_envs.evaluation.provenance import Provenance, provenance
from gpicl_envs.evaluation.records import SCHEMA, FailedRecord, Record, ScoredRecord, SuiteClaim, distinct_names
from gpicl_envs.jobs.job import Outcome, Runner
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.jobs.run import Report
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.suites.definitions import Cell, Suite
from gpicl_envs.suites.planned import PlannedJob, kept_records, outcome_of, run_planned, seed_globals
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.oracle import Oracle

CHECK_LENGTH = 24  # positions of the artificial episodes of `check_learner`
FOREVER = 1e6  # seconds

Available = tuple[Cell, EpisodeDistribution]  # a cell whose data this machine has, and its tasks
Size = tuple[int, int]  # (D, K)
Checks = dict[tuple[str, Size], Outcome]  # (spec, size) → the learner's name and fingerprint, or why it is refused


@dataclass(frozen=True)
class CheckJob:
    """Checks a learner on the first cell of a size; its value is the learner's name and fingerprint."""

    spec: str
    cell: Cell
    size: Size
    device: str
    threads: int

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"check of {self.spec}"

    def run(self) -> Outcome:
        """Check the learner in this process."""
        return _use_learner(self.spec, self.cell, self.device, self.threads, self._check)

    def _check(self, learner: Any, tasks: EpisodeDistribution) -> tuple[str, str]:
        if not isinstance(learner, Oracle):
            check_learner(learner, length=min(CHECK_LENGTH, max(2, tasks.length)))
        return learner.name, LearnerSpec.parse(self.spec).fingerprint(learner)


@dataclass(frozen=True)
class AlteredJob:
    """One learner on the altered episodes of a cell; its value is what it predicts, for the guard of the cell's job."""

    spec: str
    cell: Cell
    device: str
    batch_size: int
    threads: int

    title = "altered episodes"

    def run(self) -> Outcome:
        """Ask the learner in this process, which never shows it the true labels."""
        return _use_learner(self.spec, self.cell, self.device, self.threads, self._ask)

    def _ask(self, learner: Any, tasks: EpisodeDistribution) -> Any:
        return altered_logits(learner, tasks, **_episodes(self.cell, self.batch_size))


@dataclass(frozen=True)
class CellJob(PlannedJob[Cell]):
    """One learner on one cell.

    A process of its own, started by this job, predicts the altered episodes of the leakage guard first.

    Args:
        batch_size: episodes at a time.
    """

    batch_size: int = 16

    def score(self) -> Outcome:
        """Evaluate the learner in this process."""
        device, altered = self.planned.provenance.device, Outcome()
        if self.spec != Oracle.name:
            with local_runner(1, FOREVER) as run:  # the time limit of this job ends that one, too
                job = AlteredJob(self.spec, self.cell, device, self.batch_size, self.threads)
                ((_, altered),) = run([job])
        if altered.error is not None:
            return altered
        return _use_learner(self.spec, self.cell, device, self.threads, partial(self._evaluate, altered.value))

    def _evaluate(self, altered: Any, learner: Any, tasks: EpisodeDistribution) -> ScoredRecord:
        options = _episodes(self.cell, self.batch_size)
        curve = evaluate(learner, tasks, altered=altered, protocol=self.cell.protocol, **options)
        return replace(curve.record(self.planned.provenance.command), **self.labels)


def _episodes(cell: Cell, batch_size: int) -> dict[str, int]:
    """Which episodes of a cell are predicted, and which of them the leakage guard alters."""
    return {
        "episodes": cell.episodes,
        "seed": cell.seed,
        "batch_size": batch_size,
        "final_positions": cell.final_positions,
    }


def _use_learner(
    spec: str, cell: Cell, device: str, threads: int, use: Callable[[Any, EpisodeDistribution], Any]
) -> Outcome:
    """Make a learner for a cell and call `use` with it and the tasks; an exception becomes the outcome's error."""

    def call() -> Any:
        tasks = make_tasks(**cell.arguments | {"device": device})
        seed_globals()
        return use(LearnerSpec.parse(spec).make_for(tasks, **cell.learner_defaults), tasks)

    return outcome_of(call, threads)


def benchmark(
    suite: Suite[Cell],
    specs: Sequence[str],
    path: str | os.PathLike[str],
    run: Runner,
    *,
    device: str = "cpu",
    batch_size: int = 16,
    threads: int = 1,
    command: str = "",
    rerun: bool = False,
    report: Report = lambda line: None,
) -> list[Record]:
    """Evaluate every learner on every cell of a suite whose data are available; return their records.

    A record is added to the file as soon as its job is done. A job whose record is there already, of the same cell,
    data, learner, weights and code, does not run again, so a stopped benchmark can be resumed; a failed job does. The
    oracle has records only of the cells whose best predictions are known.

    Args:
        suite: the suite.
        specs: the learners.
        path: the record file, made if needed.
        run: a runner of jobs, from `local_runner(...)` or `ray_runner(...)`.
        device: cpu or cuda.
        batch_size: episodes at a time.
        threads: torch's threads in each job.
        command: what the user typed, kept in the records.
        rerun: whether jobs that have a record run all the same.
        report: takes one line for each job.

    Raises:
        ValueError: no data are available, or the file holds other lines or records of another definition.
    """
    for name, count in (("batch_size", batch_size), ("threads", threads)):
        check_integer(name, count, 1)
    specs = list(dict.fromkeys(specs))
    for spec in specs:
        if spec != Oracle.name:
            LearnerSpec.parse(spec).require()
    kept = kept_records(path, ScoredRecord | FailedRecord, SCHEMA)
    cells = _available_cells(suite, report)
    first = {_size(tasks): cell for cell, tasks in reversed(cells)}
    checks = [CheckJob(spec, cell, size, device, threads) for spec in specs for size, cell in first.items()]
    found = {(job.spec, job.size): outcome for job, outcome in run(checks)}
    jobs = [
        CellJob(spec, cell, planned, refusal, threads, batch_size)
        for spec, cell, planned, refusal in _plan(suite, specs, cells, found, provenance(device, command))
    ]
    if not jobs:
        raise ValueError(f"{', '.join(specs)} cannot be scored on any cell of {suite.name}: give other learners.")
    shared: dict[str, Any] = {"describe": lambda record: f"{record.final.mean:.3f}", "rerun": rerun, "report": report}
    return run_planned(jobs, path, kept, run, **shared)


def _available_cells(suite: Suite[Cell], report: Report) -> list[Available]:
    """The cells whose data this machine has; reports what to do about the others."""
    found = []
    for cell in suite.cells:
        try:
            found.append((cell, make_tasks(**cell.arguments)))
        except MissingDataError as error:
            report(f"{cell.name} is left out: {error}")
    if not found:
        raise ValueError(f"No data of {suite.name} are available: `gpicl data list` shows where each comes from.")
    return found


def _size(tasks: EpisodeDistribution) -> Size:
    return tasks.n_features, tasks.n_classes


def _plan(
    suite: Suite[Cell], specs: Sequence[str], cells: Sequence[Available], checks: Checks, made: Provenance
) -> Iterator[tuple[str, Cell, Record, str | None]]:
    """Each learner on each cell: both, the record without its result, and why the learner is refused, if it is."""
    own = {spec: outcome.value[0] for (spec, _), outcome in checks.items() if outcome.error is None}
    names = distinct_names({spec: own.get(spec, LearnerSpec.parse(spec).name) for spec in specs})
    for spec in specs:
        for cell, tasks in cells:
            if spec == Oracle.name and not Oracle().covers(tasks):
                continue
            check = checks[spec, _size(tasks)]
            planned = Record(
                learner=names[spec],
                spec=spec,
                fingerprint=None if check.error else check.value[1],
                env=cell.env,
                env_kwargs={"split": "test", "length": cell.length} | dict(cell.variant),
                data=tasks.fingerprint,
                protocol=cell.protocol,
                seed=cell.seed,
                episodes=cell.episodes,
                suite=SuiteClaim(suite.name, cell.name, cell.definition),
                provenance=made,
            )
            yield spec, cell, planned, check.error and f"check: {check.error}"
