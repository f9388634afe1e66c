"""`gpicl benchmark`: a frozen suite, any learners, one table."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from gpicl_envs.commands.arguments import processes, runner, show
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.provenance import command_line
from gpicl_envs.evaluation.records import FailedRecord, Record
from gpicl_envs.suites.definitions import ProblemCell, Suite, find_suite


def benchmark(
    learners: Annotated[Sequence[str], tyro.conf.arg(aliases=["--learner"])],
    suite: str = "gpicl-mini",
    cell: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--cells"])] = (),
    out: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float = 3600.0,
    batch_size: int = 16,
    device: str = "cpu",
    rerun: bool = False,
) -> None:
    """Evaluate learners on a frozen suite, all on the same episodes, and write the records and the report.

    A learner that raises, returns NaN, sees the future or takes too long gets a row with the reason; the others finish.
    The same command again resumes a benchmark that was stopped.

    Example: `gpicl benchmark --suite gpicl-table1 --learners knn,metric=euclidean ridge my_package:MyAgent`.

    Args:
        learners: names, module:Class, checkpoint folders, pretrained:NAME or sklearn:NAME; with arguments: knn,k=3;
            for gpicl-rl-v1 the players of gpicl evaluate-rl.
        suite: gpicl-mini, gpicl-v1, gpicl-table1, gpicl-robust, gpicl-robust-v2, gpicl-fewshot-v1,
            gpicl-regression, gpicl-tables-v1 or gpicl-rl-v1.
        cell: cells of the suite to run, by name, such as MNIST; all by default. The report then has these alone.
        out: folder for records.jsonl and the report; runs/SUITE by default.
        workers: processes; by default one per core on a CPU, one on a GPU.
        ray: address of a Ray cluster (auto: the one running here), instead of processes.
        time_limit: seconds that one learner may take for one cell.
        batch_size: episodes at a time.
        device: cpu or cuda.
        rerun: run also what has a result, for changes that are not noticed: installed packages and files of data.
    """
    chosen, folder = find_suite(suite).only(cell), out or Path("runs") / suite
    check_integer("batch_size", batch_size, 1)
    count, threads = processes(workers, device)
    options: dict[str, Any] = {"device": device, "threads": threads, "report": show}
    engine = _engine(chosen, batch_size)
    with runner(count, time_limit, ray, device) as run:
        path = folder / "records.jsonl"
        records = engine.run(chosen, learners, path, run, command=command_line(), rerun=rerun, **options)
    _report(chosen, records, folder, engine)


class _Engine(NamedTuple):
    """How a kind of suite is run, shown as a table, and written as a report."""

    run: Callable[..., list[Record]]
    table: Callable[[Sequence[Record]], str]
    write: Callable[..., Path]


def _engine(suite: Suite[Any], batch_size: int) -> _Engine:
    """The engine of players for suites of in-context RL, that of learners for all others."""
    if isinstance(suite.cells[0], ProblemCell):
        from gpicl_envs.report.returns import returns_table, write_returns_report
        from gpicl_envs.suites.players import benchmark_players

        return _Engine(benchmark_players, returns_table, write_returns_report)
    from gpicl_envs.report import group, markdown_table, write_report
    from gpicl_envs.suites.run import benchmark as run_benchmark

    run = partial(run_benchmark, batch_size=batch_size)
    return _Engine(run, lambda records: markdown_table(group(records)), write_report)


def _report(suite: Suite[Any], records: Sequence[Record], folder: Path, engine: _Engine) -> None:
    """Show the table and write the report. Raises ValueError if no learner got a score."""
    show(engine.table(records))
    page = engine.write(records, folder, title=f"{suite.name}: {suite.description}")
    failed = [record for record in records if isinstance(record, FailedRecord)]
    if len(failed) == len(records):
        raise ValueError(f"No learner got a score: {failed[0].error} ({folder / 'records.jsonl'} has all reasons.)")
    show(f"Records: {folder / 'records.jsonl'}. The report: {page}")
