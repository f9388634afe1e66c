"""`gpicl experiment`: one of the paper's experiments, from its trials to its figures and findings."""

from pathlib import Path
from typing import Literal

import tyro

from gpicl_envs.commands.arguments import processes, runner, show


def experiment(
    name: tyro.conf.Positional[str] = "",
    scale: Literal["small", "paper"] = "small",
    out: Path | None = None,
    workers: int | None = None,
    ray: str | None = None,
    time_limit: float = 1e6,
    device: str = "cpu",
) -> None:
    """Run one of the paper's experiments, and write its records, its figures and a report.

    If a trial fails, the others still finish. The same command again skips finished trials, and resumes interrupted
    ones from their checkpoints.

    Examples: `gpicl experiment phases`; `gpicl experiment phases --scale paper --device cuda --ray auto`.

    Args:
        name: of the experiment; without it, all names are listed.
        scale: small (minutes on two cores) or paper (a GPU or a cluster).
        out: folder for records.jsonl, report.md, figures and checkpoints; runs/experiments/NAME-SCALE by default.
        workers: processes; by default one per core on a CPU, one on a GPU.
        ray: address of a Ray cluster (auto: the one running here), instead of processes.
        time_limit: seconds that one trial may take.
        device: cpu or cuda.
    """
    from gpicl_agents.experiments.engine.experiment import find_experiment
    from gpicl_agents.experiments.engine.sweep import run_experiment
    from gpicl_envs.evaluation.provenance import command_line

    chosen = find_experiment(name)
    count, threads = processes(workers, device)
    folder = out or Path("runs") / "experiments" / f"{name}-{scale}"
    with runner(count, time_limit, ray, device) as run:
        page = run_experiment(chosen, scale, folder, run, device=device, threads=threads, command=command_line())
    show(f"{page.read_text(encoding='utf-8')}\nRecords: {folder / 'records.jsonl'}. Report: {page}")
