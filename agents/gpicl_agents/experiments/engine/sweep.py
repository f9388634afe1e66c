"""`sweep`: a grid of independent trials → records, in processes or on a cluster, resumed trial by trial."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import find_available
from gpicl_agents.experiments.engine.experiment import Experiment
from gpicl_agents.experiments.engine.job import TrialJob
from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.settings import SETTINGS
from gpicl_agents.experiments.engine.trial import SCHEMA, Records, Trial, TrialRecord
from gpicl_envs.errors import check_choice
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl
from gpicl_envs.jobs.job import Runner
from gpicl_envs.jobs.run import run_jobs

RECORDS = "records.jsonl"


def run_experiment(
    experiment: Experiment, scale: str, folder: Path, run: Runner, *, device: str, threads: int, command: str
) -> Path:
    """Run an experiment, printing its progress, and return the page of its report; see `sweep` for the arguments.

    Raises:
        ValueError: all trials failed, or a reason of `sweep`'s.
    """
    records = sweep(experiment, scale, folder, run, device=device, threads=threads, command=command, report=print)
    page = write_page(experiment, scale, records, folder)
    if all(record.status == "failed" for record in records):
        raise ValueError(f"All trials failed: {records[0].error} (see {folder / RECORDS} for the others).")
    return page


def sweep(
    experiment: Experiment,
    scale: str,
    folder: str | os.PathLike[str],
    run: Runner,
    *,
    device: str = "cpu",
    threads: int = 1,
    command: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> list[TrialRecord]:
    """Run all trials of an experiment that have no record in the folder yet; return one record for each trial.

    A record is added to `records.jsonl` as soon as its trial is done, and a trial that was interrupted resumes from its
    last checkpoint. A failed trial has a record with the reason, and is run again the next time, and so is a trial
    for which a dataset was missing, once it is available.

    Args:
        experiment: the experiment.
        scale: `"small"` or `"paper"`.
        folder: for the records and checkpoints; created if needed.
        run: runs the jobs: `local_runner(...)` or `ray_runner(...)`.
        device: cpu or cuda.
        threads: torch's threads in each trial.
        command: what the user typed, for the records.
        report: called with a line for each trial.

    Raises:
        ValueError: an unknown scale, or a folder with records of something else.
        OSError: the folder cannot be written.
    """
    check_choice("scale", scale, tuple(SETTINGS))
    folder = Path(folder).resolve()  # the workers of a cluster may have another working directory
    path = folder / RECORDS
    append_jsonl(path, [])  # if nothing can be written, this fails now
    records = read_jsonl(path, TrialRecord, SCHEMA)
    check_records(path, records, experiment, scale)
    shared: dict[str, Any] = {"device": device, "threads": threads, "command": command}
    jobs = [
        TrialJob(trial, experiment.name, scale, folder / "trials" / _slug(trial), **shared)
        for trial in experiment.trials(scale)
    ]
    return run_jobs(
        jobs, path, records, run, describe=experiment.result, is_complete=_is_complete, unit="trials", report=report
    )


def check_records(path: Path, records: Records, experiment: Experiment, scale: str) -> None:
    """Raise ValueError unless all records of a file are of trials of this experiment and scale as now defined."""
    defined = {trial.definition for trial in experiment.trials(scale)}
    for number, record in enumerate(records, start=1):
        advice = "give another folder (--out), or remove that file."
        if (record.experiment, record.scale) != (experiment.name, scale):
            raise ValueError(
                f"{path}, line {number} is of the experiment {record.experiment} at scale {record.scale}, not of "
                f"{experiment.name} at scale {scale}: {advice}"
            )
        if record.definition not in defined:
            raise ValueError(
                f"{path}, line {number} ({record.trial}) was made with another version's definition of "
                f"{experiment.name}: {advice}"
            )


def _is_complete(job: TrialJob, record: TrialRecord) -> bool:
    """Whether no dataset that was missing from a result has become available."""
    missing = [evaluation for evaluation in job.trial.evaluations if evaluation.name in record.missing]
    available, _ = find_available(missing, job.trial.env_kwargs)
    return not available


def _slug(trial: Trial) -> str:
    """A folder name; another definition of the same trial has another."""
    name = re.sub(r"[^\w.=-]+", "_", trial.name)
    return f"{name}-{trial.definition[:8]}"
