"""`gpicl benchmark`: a frozen suite, any learners, one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from gpicl_envs.commands.arguments import processes, runner, show
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.provenance import command_line
from gpicl_envs.evaluation.records import FailedRecord, Record
from gpicl_envs.suites.definitions import Suite, find_suite


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
        learners: names, module:Class, checkpoint folders, pretrained:NAME or sklearn:NAME; with arguments: knn,k=3.
        suite: gpicl-mini, gpicl-v1, gpicl-table1, gpicl-robust, gpicl-robust-v2, gpicl-fewshot-v1,
            gpicl-regression or gpicl-tables-v1.
        cell: cells of the suite to run, by name, such as MNIST; all by default. The report then has these alone.
        out: folder for records.jsonl and the report; runs/SUITE by default.
        workers: processes; by default one per core on a CPU, one on a GPU.
        ray: address of a Ray cluster (auto: the one running here), instead of processes.
        time_limit: seconds that one learner may take for one cell.
        batch_size: episodes at a time.
        device: cpu or cuda.
        rerun: run also what has a result, for changes that are not noticed: installed packages and files of data.
    """
    from gpicl_envs.suites.run import benchmark as run_benchmark

    chosen, folder = find_suite(suite).only(cell), out or Path("runs") / suite
    check_integer("batch_size", batch_size, 1)
    count, threads = processes(workers, device)
    options: dict[str, Any] = {"device": device, "batch_size": batch_size, "threads": threads, "report": show}
    with runner(count, time_limit, ray, device) as run:
        path = folder / "records.jsonl"
        records = run_benchmark(chosen, learners, path, run, command=command_line(), rerun=rerun, **options)
    _report(chosen, records, folder)


def _report(suite: Suite, records: Sequence[Record], folder: Path) -> None:
    """Show the table and write the report. Raises ValueError if no learner got a score."""
    from gpicl_envs.report import group, markdown_table, write_report

    show(markdown_table(group(records)))
    page = write_report(records, folder, title=f"{suite.name}: {suite.description}")
    failed = [record for record in records if isinstance(record, FailedRecord)]
    if len(failed) == len(records):
        raise ValueError(f"No learner got a score: {failed[0].error} ({folder / 'records.jsonl'} has all reasons.)")
    show(f"Records: {folder / 'records.jsonl'}. The report: {page}")
