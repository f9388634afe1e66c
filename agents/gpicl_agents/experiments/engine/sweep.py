"""`sweep`: a grid of independent trials → records, in processes or on a cluster, going on where it was stopped."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpicl_agents.experiments.engine.experiment import Experiment
from gpicl_agents.experiments.engine.trial import SCHEMA, Trial, TrialJob, missing_evaluations
from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.jobs.job import Runner

RECORDS = "records.jsonl"


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
) -> list[dict[str, Any]]:
    """Do all trials of an experiment that have no record in the folder yet; return one record for each trial.

    A record is added to `records.jsonl` as soon as its trial is done, and a trial that was stopped in the middle goes
    on from its last checkpoint. A trial that fails has a record with its reason and is tried again the next time;
    one that lacked a dataset is asked again once that is at hand.

    Args:
        experiment: what is done.
        scale: one of its scales.
        folder: for the records and checkpoints, made if needed.
        run: runs jobs: `isolation.local_runner(...)` or `cluster.ray_runner(...)`.
        device: cpu or cuda.
        threads: torch's threads in each trial.
        command: kept in the records.
        report: told one line for each trial.

    Raises:
        ValueError: an unknown scale, a folder that cannot be written, or one with records of something else.
    """
    trials = experiment.trials(scale)
    folder = Path(folder).resolve()  # a worker of a cluster may stand elsewhere
    path = folder / RECORDS
    append_jsonl(path, [])  # fails now where nothing can be written
    records = read_trials(path, experiment, scale)
    finished = {trial.definition for trial in trials if _is_done(trial, _latest(records))}
    shared: dict[str, Any] = {"device": device, "threads": threads, "command": command}
    jobs = [
        TrialJob(trial, experiment.name, scale, folder / "trials" / _slug(trial), **shared)
        for trial in trials
        if trial.definition not in finished
    ]
    report(f"{len(trials) - len(jobs)} of {len(trials)} trials are done already" if finished else f"{len(jobs)} trials")
    for count, (job, outcome) in enumerate(run(jobs), start=1):
        assert isinstance(job, TrialJob)
        record = outcome.value or job.header() | {"status": "failed", "error": outcome.error}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        records.append(record)
        result = f"failed: {outcome.error}" if outcome.error else experiment.line(record)
        report(f"[{count}/{len(jobs)}] {job.title}: {result}")
    latest = _latest(records)
    return [latest[trial.definition] for trial in trials]


def _latest(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Definition → its last record that did not fail, or its last: asking again does not lose an answer."""
    by_status = sorted(records, key=lambda record: record["status"] == "ok")
    return {record["definition"]: record for record in by_status}


def read_trials(path: Path, experiment: Experiment, scale: str) -> list[dict[str, Any]]:
    """Return the records of a file, all of them trials of this experiment at this scale, as they are defined now.

    Raises:
        ValueError: they are not; the message names the first that is something else.
    """
    defined = {trial.definition for trial in experiment.trials(scale)}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, record in enumerate(records, start=1):
        if record["schema"] != SCHEMA:
            raise ValueError(f"{path}, line {number} has the schema {record['schema']!r}, not {SCHEMA!r}.")
        advice = "give another folder (--out), or remove that file."
        found = record["experiment"], record["scale"]
        if found != (experiment.name, scale):
            raise ValueError(
                f"{path}, line {number} is of the experiment {found[0]} at scale {found[1]}, not of {experiment.name} "
                f"at scale {scale}: {advice}"
            )
        if record["definition"] not in defined:
            raise ValueError(
                f"{path}, line {number} ({record['trial']}) was made with another version's definition of "
                f"{experiment.name}: {advice}"
            )
    return records


def _is_done(trial: Trial, records: dict[str, dict[str, Any]]) -> bool:
    """Whether a trial's last record says that it did not fail, and data that it lacked then are still not at hand."""
    record = records.get(trial.definition)
    if record is None or record["status"] != "ok":
        return False
    lacked = {question.name for question in trial.questions} & record["missing"].keys()
    return not lacked or lacked <= missing_evaluations(trial).keys()


def _slug(trial: Trial) -> str:
    """A folder's name, which another definition of the same trial does not have."""
    name = re.sub(r"[^\w.=-]+", "_", trial.name)
    return f"{name}-{trial.definition[:8]}"
