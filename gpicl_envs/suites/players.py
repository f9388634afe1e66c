"""`benchmark_players`: players × cells of a suite of in-context RL → records, by the engine of `benchmark`."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.provenance import Provenance, provenance
from gpicl_envs.evaluation.records import FailedRecord, Record, SuiteClaim, distinct_names
from gpicl_envs.evaluation.return_records import RETURN_SCHEMA, ReturnRecord
from gpicl_envs.jobs.job import Outcome, Runner
from gpicl_envs.jobs.run import Report
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.kinds import make_problems
from gpicl_envs.rl.players.base import CannotPlayError
from gpicl_envs.rl.players.find import FoundPlayer, find_player, require_player
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.suites.definitions import ProblemCell, Suite
from gpicl_envs.suites.planned import PlannedJob, kept_records, outcome_of, run_planned, seed_globals

Found = Mapping[tuple[str, str], Outcome]  # (spec, cell's name) → name and fingerprint, None, or why it is refused


@dataclass(frozen=True)
class FindJob:
    """Finds a player for a cell; its value is the player's name and fingerprint, None if it plays other problems."""

    spec: str
    cell: ProblemCell
    device: str
    threads: int

    @property
    def title(self) -> str:
        """For progress and errors."""
        return f"check of {self.spec}"

    def run(self) -> Outcome:
        """Find the player in this process."""
        return _use_player(self.spec, self.cell, self.device, self.threads, self._name)

    def _name(self, found: FoundPlayer, made: ProblemDistribution) -> tuple[str, str]:
        return found.player.name, found.fingerprint


@dataclass(frozen=True)
class PlayJob(PlannedJob[ProblemCell]):
    """One player on one cell."""

    def score(self) -> Outcome:
        """Let the player play in this process."""
        return _use_player(self.spec, self.cell, self.planned.provenance.device, self.threads, self._evaluate)

    def _evaluate(self, found: FoundPlayer, made: ProblemDistribution) -> ReturnRecord:
        cell = self.cell
        options: dict[str, Any] = {"problems": cell.episodes, "seed": cell.seed, "protocol": cell.protocol}
        (curve,) = evaluate_players([found.player], made, **options)
        return replace(curve.record(self.planned.provenance.command), **self.labels)


def _use_player(
    spec: str,
    cell: ProblemCell,
    device: str,
    threads: int,
    use: Callable[[FoundPlayer, ProblemDistribution], Any],
) -> Outcome:
    """Find a player for a cell and call `use` with it and the problems; an exception becomes the outcome's error."""

    def call() -> Any:
        made = make_problems(**cell.arguments | {"device": device})
        seed_globals()
        try:
            return use(find_player(spec, made), made)
        except CannotPlayError:
            return None

    return outcome_of(call, threads)


def benchmark_players(
    suite: Suite[ProblemCell],
    specs: Sequence[str],
    path: str | os.PathLike[str],
    run: Runner,
    *,
    device: str = "cpu",
    threads: int = 1,
    command: str = "",
    rerun: bool = False,
    report: Report = lambda line: None,
) -> list[Record]:
    """Let every player play every cell of a suite that it can play; return the records.

    As `gpicl_envs.suites.run.benchmark`, it can be stopped and resumed. A player has no records of cells whose problems
    it is not made for.

    Args:
        suite: the suite.
        specs: the players, as for `find_player`.
        path: the record file, made if needed.
        run: a runner of jobs, from `local_runner(...)` or `ray_runner(...)`.
        device: cpu or cuda.
        threads: torch's threads in each job.
        command: what the user typed, kept in the records.
        rerun: whether jobs that have a record run all the same.
        report: takes one line for each job.

    Raises:
        ValueError: there is no such player, none can play any cell, or the file holds other lines or records of another
            definition.
    """
    check_integer("threads", threads, 1)
    specs = list(dict.fromkeys(specs))
    for spec in specs:
        require_player(spec)
    kept = kept_records(path, ReturnRecord | FailedRecord, RETURN_SCHEMA)
    found = {
        (job.spec, job.cell.name): outcome
        for job, outcome in run([FindJob(spec, cell, device, threads) for spec in specs for cell in suite.cells])
    }
    jobs = [
        PlayJob(spec, cell, planned, outcome.error and f"check: {outcome.error}", threads)
        for spec, cell, planned, outcome in _plan(suite, specs, found, provenance(device, command))
    ]
    if not jobs:
        raise ValueError(f"No player can play any cell of {suite.name}: {', '.join(specs)} are made for others.")
    return run_planned(jobs, path, kept, run, describe=_describe, rerun=rerun, report=report)


def _describe(record: ReturnRecord) -> str:
    return f"return {record.total_return.mean:.2f}, regret {record.total_regret.mean:.2f}"


def _plan(
    suite: Suite[ProblemCell], specs: Sequence[str], found: Found, made: Provenance
) -> Iterator[tuple[str, ProblemCell, Record, Outcome]]:
    """Each player on each cell that it can play: both, the record without its result, and the outcome of its check."""
    own = {spec: outcome.value[0] for (spec, _), outcome in found.items() if outcome.value}
    names = distinct_names({spec: own.get(spec, spec) for spec in specs})
    for spec in specs:
        for cell in suite.cells:
            outcome = found[spec, cell.name]
            if outcome == Outcome():
                continue
            planned = Record(
                schema=RETURN_SCHEMA,
                learner=names[spec],
                spec=spec,
                fingerprint=outcome.value and outcome.value[1],
                env=cell.env,
                env_kwargs={"split": "test"} | dict(cell.variant),
                protocol=cell.protocol,
                seed=cell.seed,
                episodes=cell.episodes,
                suite=SuiteClaim(suite.name, cell.name, cell.definition),
                provenance=made,
            )
            yield spec, cell, planned, outcome
