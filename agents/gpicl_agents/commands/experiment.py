"""`gpicl experiment`: one of the paper's experiments, from its trials to its figure and findings."""

from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from gpicl_envs.commands.arguments import processes, runner
from gpicl_envs.errors import check_number


def experiment(
    name: tyro.conf.Positional[str] = "",
    scale: Literal["small", "paper"] = "small",
    out: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float = 1e6,
    device: str = "cpu",
) -> None:
    """Run one of the paper's experiments: its records, its figures, and what they show.

    A trial that fails is reported and the others finish. The same command again repeats no finished trial, and a
    stopped one goes on from its checkpoint.

    Examples: `gpicl experiment phases`; `gpicl experiment phases --scale paper --device cuda --ray auto`.

    Args:
        name: of the experiment; left out, all names are listed.
        scale: small (minutes on two cores) or paper (a GPU or a cluster).
        out: folder for records.jsonl, report.md, the figures and checkpoints; runs/experiments/NAME-SCALE by default.
        workers: processes; by default one for each core on the CPU, one on a GPU.
        ray: address of a Ray cluster (auto: the one that runs here), instead of processes.
        time_limit: seconds that one trial may take.
        device: cpu or cuda.
    """
    from gpicl_agents.experiments.engine.experiment import NAMES, find_experiment
    from gpicl_agents.experiments.engine.report import write_page
    from gpicl_agents.experiments.engine.sweep import sweep
    from gpicl_envs.evaluation.provenance import command_line
    from gpicl_envs.tasks.base import check_device

    if not name:
        raise ValueError(f"Which experiment? There are {', '.join(NAMES)}.")
    chosen = find_experiment(name)
    check_number("time_limit", time_limit, 1)
    if ray is None:  # the machines of a cluster may have what this one has not
        check_device(device)
    count, threads = processes(workers, device)
    folder = out or Path("runs") / "experiments" / f"{name}-{scale}"
    console = Console()
    with runner(count, time_limit, ray, device) as run:
        records = sweep(
            chosen,
            scale,
            folder,
            run,
            device=device,
            threads=threads,
            command=command_line(),
            report=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
        )
    page = write_page(chosen, scale, records, folder)
    console.print(page.read_text(encoding="utf-8"), markup=False, highlight=False, soft_wrap=True)
    if not any(record["status"] == "ok" for record in records):
        raise ValueError(f"No trial was done: {records[0]['error']} ({folder / 'records.jsonl'} has all reasons.)")
    console.print(f"Records: {folder / 'records.jsonl'}. The report: {page}", highlight=False)
