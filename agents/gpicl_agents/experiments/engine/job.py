"""`TrialJob`: meta-train the learner of a trial and evaluate it, in any process or on any machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from gpicl_agents.evaluations import (
    SEED,
    Evaluation,
    OnlySeen,
    Summary,
    find_available,
    summarize,
    summarize_values,
    unseen_dataset,
)
from gpicl_agents.experiments.engine.observation import Observer, ablate_heads, each, inspect_episodes
from gpicl_agents.experiments.engine.policy_trial import PolicyTrial, run_policy_trial
from gpicl_agents.experiments.engine.trial import Stage, Training, Trial, TrialRecord
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.run_folder import read_metrics
from gpicl_agents.training.supervised import train
from gpicl_envs.datasets import ARRAY_ID
from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.files import write_text
from gpicl_envs.errors import one_line
from gpicl_envs.evaluation.evaluate import evaluate, evaluate_all
from gpicl_envs.evaluation.provenance import provenance, source_commit
from gpicl_envs.evaluation.references import find_references
from gpicl_envs.jobs.job import Outcome
from gpicl_envs.learners.base import Learner, evaluating
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution

LOSSES = 200  # points kept of a loss curve


@dataclass(frozen=True)
class TrialJob:
    """A trial as a job for `local_runner` or `ray_runner`.

    Args:
        trial: what to do.
        experiment: its name.
        scale: `"small"` or `"paper"`.
        folder: for checkpoints and metrics, from which an interrupted trial resumes; on a cluster, a shared one.
        device: cpu or cuda.
        threads: of torch.
        command: what the user typed.
    """

    trial: Trial
    experiment: str
    scale: str
    folder: Path
    device: str = "cpu"
    threads: int = 1
    command: str = ""

    @property
    def title(self) -> str:
        """For progress and errors."""
        return self.trial.name

    def run(self) -> Outcome:
        """Return the trial's record as an outcome, or any exception as the reason of its failure."""
        torch.set_num_threads(self.threads)
        try:
            return Outcome(run_trial(self))
        except Exception as error:  # from the learner's own code, so of any kind
            return Outcome(error=one_line(error))

    def matches(self, record: TrialRecord) -> bool:
        """Whether a record is of this trial."""
        return record.definition == self.trial.definition

    def failed(self, error: str) -> TrialRecord:
        """Return the record of a failure."""
        return self.record(status="failed", error=error)

    def record(self, **fields: Any) -> TrialRecord:
        """Return a record of the trial with these fields of `TrialRecord`."""
        return TrialRecord(
            experiment=self.experiment,
            scale=self.scale,
            trial=self.trial.name,
            axes=self.trial.axes,
            definition=self.trial.definition,
            provenance=provenance(self.device, self.command),
            **fields,
        )


def run_trial(job: TrialJob) -> TrialRecord:
    """Meta-train the trial's learner, resuming from a checkpoint if there is one, and evaluate it."""
    if isinstance(job.trial, PolicyTrial):
        return run_policy_trial(job)
    env_kwargs = job.trial.env_kwargs | {"device": job.device}
    tasks = make_tasks(**env_kwargs)
    scale = {"value_scale": tasks.target_variance**0.5} if tasks.is_regression else {}
    learner = LearnerSpec.parse(job.trial.learner, **job.trial.learner_kwargs).make_for(tasks, **scale)
    with evaluating(learner):  # with its whole projection ensemble
        state_size = learner.state_size(tasks.length - 1)
    record = job.record(learner=learner.name, n_parameters=learner.n_parameters, state_size=state_size)
    if job.trial.train_kwargs is not None:
        record = _meta_train(job, job.trial.train_kwargs, learner, record)
    available, missing = find_available(job.trial.evaluations, env_kwargs)
    results = {
        evaluation.name: _evaluate(learner, evaluation, shown, job.trial.references) for evaluation, shown in available
    }
    results |= ablate_heads(job.trial, env_kwargs, learner)
    inspections = inspect_episodes(job.trial, env_kwargs, learner)
    return replace(record, results=results, missing=record.missing | _reasons(missing), inspections=inspections)


def _evaluate(
    learner: Learner, evaluation: Evaluation, shown: EpisodeDistribution, references: Mapping[str, str]
) -> Summary:
    """Evaluate a learner of labels, or of values: these in units of the squared error of predicting 0."""
    options: dict[str, Any] = {"episodes": evaluation.episodes, "seed": SEED, "protocol": evaluation.protocol}
    if not shown.is_regression:
        return summarize(evaluate(OnlySeen(learner) if evaluation.only_seen else learner, shown, **options))
    others = {name: LearnerSpec.parse(spec).make_for(shown) for name, spec in references.items()}
    zero = LearnerSpec.parse("uniform").make_for(shown)
    known = {**find_references(shown), **others}
    curve, predicting_zero = evaluate_all([learner, zero], shown, references=known, **options)
    return summarize_values(curve, predicting_zero, predicting_zero.mean)


def _meta_train(job: TrialJob, train_kwargs: dict[str, Any], learner: Learner, record: TrialRecord) -> TrialRecord:
    """Add to a record the training, the commits at which it ran, and datasets that it was not evaluated on."""
    env_kwargs = job.trial.env_kwargs | {"device": job.device}
    during = [unseen_dataset(name, image_size=None) for name in train_kwargs.get("evaluate_datasets", ())]
    available, missing = find_available(during, env_kwargs)
    names = tuple(evaluation.name for evaluation, _ in available)
    config = TrainConfig(**train_kwargs | {"evaluate_datasets": names})
    observer = Observer(job.trial, dict(env_kwargs), learner, job.folder)
    function = env_kwargs.pop("function", None)  # whose environment has its own id
    env_id = ARRAY_ID if function is None else f"GPICL-{function}-v0"
    venv = gymnasium.make_vec(env_id, **env_kwargs | {"num_envs": job.trial.batch_size})
    commits = job.folder / "commits.txt"
    report = each(_commit_noter(commits), observer)
    progress = train(learner, venv, config, folder=job.folder, resume=True, report=report)
    training = _training(progress, read_metrics(job.folder))
    training = replace(training, history=observer.complete(training.history))
    reasons = _reasons(missing)
    if training.history:
        done = {name for stage in training.history for name in stage.accuracy}
        reasons |= {name: "it was not available during meta-training." for name in names if name not in done}
    where = replace(record.provenance, commit=", then ".join(_read_commits(commits)))
    return replace(record, provenance=where, training=training, missing=reasons)


def _training(progress: Progress, metrics: list[dict[str, Any]]) -> Training:
    """What a record keeps of a run: its loss curve, thinned out, and all evaluations."""
    losses = [(line["step"], line["loss"]) for line in metrics if "loss" in line]
    blocks = np.array_split(np.array(losses), min(LOSSES, len(losses)))
    ending = "_accuracy"
    return Training(
        steps=progress.step,
        seconds=round(progress.seconds, 1),
        plateau_end=progress.plateau_end,
        losses=[(int(block[-1, 0]), round(float(block[:, 1].mean()), 4)) for block in blocks],
        history=[
            Stage(line["step"], {key.removesuffix(ending): line[key] for key in line if key.endswith(ending)})
            for line in metrics
            if f"unseen-task{ending}" in line
        ],
    )


def _reasons(errors: Mapping[str, ValueError]) -> dict[str, str]:
    """The errors' messages, without paths of this machine: records are shared."""
    return {name: str(error).replace(str(data_folder()), "$GPICL_DATA_DIR") for name, error in errors.items()}


def _commit_noter(path: Path) -> Callable[[Progress], None]:
    """A function for `train` to call after every step, which keeps in a file the commits that trained, in order."""
    now = source_commit() or "unknown"

    def note(progress: Progress) -> None:
        commits = _read_commits(path)
        if commits[-1:] != [now]:
            write_text(path, "\n".join([*commits, now]) + "\n")

    return note


def _read_commits(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []
