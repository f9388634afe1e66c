"""`gpicl benchmark`: a frozen suite, any learners, one table."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from gpicl_envs.commands.arguments import processes, runner
from gpicl_envs.errors import check_integer, check_number


def benchmark(
    learners: Annotated[Sequence[str], tyro.conf.arg(aliases=["--learner"])],
    suite: str = "gpicl-mini",
    out: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float = 3600.0,
    batch_size: int = 16,
    device: str = "cpu",
) -> None:
    """Evaluate learners on a frozen suite, all on the same episodes, and write the records and the report.

    A learner that raises, returns NaN, sees the future or takes too long ends as a marked row with its reason; the
    others finish. The same command again resumes where it was stopped.

    Examples: `gpicl benchmark --learners pretrained:gpicl-small knn ridge`; `gpicl benchmark --suite gpicl-table1
    --learners knn,metric=euclidean ridge my_package:MyAgent`.

    Args:
        learners: registered names, module:Class, checkpoint folders, pretrained:NAME or sklearn:NAME; arguments follow
            a comma: knn,k=3.
        suite: gpicl-mini, gpicl-v1, gpicl-table1, gpicl-robust or gpicl-regression.
        out: folder for records.jsonl and the report; runs/SUITE by default.
        workers: processes; by default one for each core on the CPU, one on a GPU.
        ray: address of a Ray cluster (auto: the one that runs here), instead of processes.
        time_limit: seconds that one learner may take for one cell.
        batch_size: episodes at a time.
        device: cpu or cuda.
    """
    from gpicl_envs.evaluation.provenance import command_line
    from gpicl_envs.evaluation.records import FailedRecord
    from gpicl_envs.report import write_report
    from gpicl_envs.suites.definitions import find_suite
    from gpicl_envs.suites.run import benchmark as run_benchmark
    from gpicl_envs.tasks.base import check_device

    show = partial(Console().print, markup=False, highlight=False, soft_wrap=True)
    chosen = find_suite(suite)
    check_number("time_limit", time_limit, 1)
    check_integer("batch_size", batch_size, 1)
    if ray is None:  # the machines of a cluster may have a device that this one does not have
        check_device(device)
    count, threads = processes(workers, device)
    folder = out or Path("runs") / suite
    options: dict[str, Any] = {"device": device, "batch_size": batch_size, "threads": threads}
    with runner(count, time_limit, ray, device) as run:
        records = run_benchmark(
            chosen, learners, folder / "records.jsonl", run, command=command_line(), report=show, **options
        )
    page = write_report(records, folder, title=f"{chosen.name}: {chosen.description}")
    show((folder / "table.md").read_text(encoding="utf-8"))
    failed = [record for record in records if isinstance(record, FailedRecord)]
    if len(failed) == len(records):
        raise ValueError(f"No learner got a score: {failed[0].error} ({folder / 'records.jsonl'} has all reasons.)")
    show(f"Records: {folder / 'records.jsonl'}. The report: {page}")
