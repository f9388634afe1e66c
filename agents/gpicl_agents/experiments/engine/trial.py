"""`Trial`: one cell of an experiment. A learner is meta-trained, then asked questions; all of it becomes one record.

A trial is plain data, so that its sha256 names it: a record is that of a trial, or it is refused.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.run_folder import METRICS, read_metrics
from gpicl_agents.training.supervised import Progress, train
from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.metrics import Interval, bootstrap
from gpicl_envs.evaluation.provenance import machine_name, package_versions, source_commit
from gpicl_envs.jobs.job import Outcome, one_line
from gpicl_envs.learners.base import Learner, evaluating
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution

SCHEMA = "gpicl-trial-1"
LOSSES = 200  # points kept of a loss curve
SEED = 20_221_208  # of the episodes that are asked; no training reads its stream


@dataclass(frozen=True)
class Question:
    """What a trained learner is asked: episodes of a distribution.

    Args:
        name: in records and figures.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`.
        changes: arguments of `TaskDistribution` that differ from those of meta-training.
        episodes: E.
    """

    name: str
    protocol: str
    changes: dict[str, Any] = field(default_factory=dict)
    episodes: int = 512


@dataclass(frozen=True)
class Trial:
    """A learner, what it is meta-trained on, and what it is asked.

    Args:
        axes: what is varied in the experiment, and this trial's values: they name it.
        learner: as for `make_learner`.
        arguments: of its constructor.
        tasks: arguments of the `TaskDistribution` of meta-training.
        training: arguments of `TrainConfig`; None for a learner that is not trained.
        batch_size: B, episodes a step.
        questions: what is asked after training; during it, `training` says what.
    """

    axes: dict[str, Any]
    learner: str
    arguments: dict[str, Any]
    tasks: dict[str, Any]
    training: dict[str, Any] | None
    batch_size: int = 16
    questions: tuple[Question, ...] = ()

    @property
    def name(self) -> str:
        """Such as `n_tasks=16, seed=0`."""
        return ", ".join(f"{axis}={value}" for axis, value in self.axes.items())

    @property
    def definition(self) -> str:
        """The sha256 of all of it."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class TrialJob:
    """A trial as a job for `isolation.local_runner` or `cluster.ray_runner`.

    Args:
        trial: what is done.
        experiment: its name.
        scale: `"small"` or `"paper"`.
        folder: for checkpoints and metrics, from which a stopped trial goes on; all machines see it.
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
        """Train, ask, and return the record; whatever is raised becomes the reason of a failure."""
        torch.set_num_threads(self.threads)
        try:
            return Outcome(self.header() | {"status": "ok"} | run_trial(self.trial, self.folder, self.device))
        except Exception as error:  # a learner's own code: anything may come
            return Outcome(error=one_line(error))

    def header(self) -> dict[str, Any]:
        """What every record of a trial says, whatever became of it."""
        return {
            "schema": SCHEMA,
            "experiment": self.experiment,
            "scale": self.scale,
            "trial": self.trial.name,
            "axes": self.trial.axes,
            "definition": self.trial.definition,
            "machine": machine_name(self.device),
            "command": self.command,
            "versions": package_versions(),
            "commit": source_commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def run_trial(trial: Trial, folder: Path, device: str) -> dict[str, Any]:
    """Train the trial's learner, going on from the folder's checkpoint if there is one, and ask its questions."""
    tasks = make_tasks(**trial.tasks | {"device": device})
    learner = LearnerSpec.parse(trial.learner, **trial.arguments).make_for(tasks)
    found: dict[str, Any] = {"learner": learner.name, "n_parameters": learner.n_parameters}
    with evaluating(learner):  # as when it is asked: with all its views
        found["state_size"] = learner.state_size(tasks.length - 1)
    missing: dict[str, str] = {}
    if trial.training is not None:
        trained, missing = _meta_train(trial, trial.training, learner, folder, device)
        found |= trained
    posed, lacking = _pose(
        trial, {question.name: question.changes | {"device": device} for question in trial.questions}
    )
    answers: dict[str, Any] = {}
    for question in trial.questions:
        if question.name in posed:
            asked = posed[question.name]
            curve = evaluate(learner, asked, episodes=question.episodes, seed=SEED, protocol=question.protocol)
            answers[question.name] = summarize(curve)
    return found | {"answers": answers, "missing": missing | lacking}


def _meta_train(
    trial: Trial, training: dict[str, Any], learner: Learner, folder: Path, device: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a record keeps of the training, and name → why, for the datasets that were not watched on the way."""
    watched = training.get("evaluate_datasets", ())
    shown: dict[str, Any] = {"image_size": None, "n_tasks": None, "split": "test"}  # as the trainer does
    _, missing = _pose(trial, {name: {"dataset": name} | shown for name in watched})
    at_hand = tuple(name for name in watched if name not in missing)
    config = TrainConfig(**training | {"evaluate_datasets": at_hand})
    venv = gymnasium.make_vec("GPICL-Array-v0", **trial.tasks | {"num_envs": trial.batch_size, "device": device})
    with _noting_commit(folder) as commits:
        progress = train(learner, venv, config, folder=folder, resume=True)
    if progress.stopped == "interrupted":
        raise InterruptedError(f"meta-training was interrupted at step {progress.step:,}; it goes on from there.")
    found = {"commit": ", then ".join(commits)} | _training(progress, read_metrics(folder))
    unwatched = {name for name in at_hand if not any(name in entry for entry in found["history"])}
    missing |= dict.fromkeys(unwatched if found["history"] else (), "it was not at hand while this was trained.")
    return found, missing


def missing_evaluations(trial: Trial) -> dict[str, str]:
    """Name → why it cannot be asked here, for the questions of a trial whose dataset is not at hand."""
    return _pose(trial, {question.name: question.changes for question in trial.questions})[1]


def _pose(trial: Trial, asked: dict[str, dict[str, Any]]) -> tuple[dict[str, EpisodeDistribution], dict[str, str]]:
    """Name → the trial's tasks with these changes; and name → why not, where their dataset is not at hand."""
    posed, missing = {}, {}
    for name, changes in asked.items():
        try:
            posed[name] = make_tasks(**trial.tasks | changes)
        except MissingDataError as error:
            missing[name] = str(error).replace(str(data_folder()), "$GPICL_DATA_DIR")  # records are shared
    return posed, missing


def summarize(curve: LearningCurve, beyond: LearningCurve | None = None) -> dict[str, Any]:
    """Return what a record keeps of a learning curve: every statistic with its 95 % interval.

    Args:
        curve: of the learner.
        beyond: of another on the same episodes, whose gain is subtracted.
    """
    first = curve.scores[:, 0].astype(np.float64)
    gain = _gains(curve) - (0 if beyond is None else _gains(beyond))
    values = {
        "first": bootstrap(first, curve.task_id),
        "final": curve.final,
        "gain": bootstrap(gain, curve.task_id),
        "accuracy": bootstrap(curve.scores, curve.task_id),
    }
    return {"episodes": len(curve.scores)} | {name: _listed(value) for name, value in values.items()}


def _gains(curve: LearningCurve) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Accuracy over the last positions less that at the first, of every episode."""
    return np.asarray(curve.final_scores - curve.scores[:, 0].astype(np.float64))


def _listed(values: Interval) -> list[Any]:
    """[mean, low, high], rounded."""
    return [np.asarray(value, np.float64).round(4).tolist() for value in values]


@contextmanager
def _noting_commit(folder: Path) -> Iterator[list[str]]:
    """The commits at which a folder's training ran, in order: kept beside it, and this one added if it does train."""
    path, metrics = folder / "commits.txt", folder / METRICS
    trained = metrics.read_bytes() if metrics.exists() else b""
    before = path.read_text(encoding="utf-8").split() if path.exists() else ["unknown"] if trained else []
    now = source_commit() or "unknown"
    commits = before if before[-1:] == [now] else [*before, now]
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(commits) + "\n", encoding="utf-8")  # before it trains, as that may be killed
    yield commits
    if trained and metrics.read_bytes() == trained:  # it was done already
        commits[:] = list(before)
        path.write_text("\n".join(before) + "\n", encoding="utf-8")


def _training(progress: Progress, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """What a record keeps of a training run: its loss curve, thinned, and all evaluations on the way."""
    losses = [(line["step"], line["loss"]) for line in metrics if "loss" in line]
    parts = np.array_split(np.array(losses), min(LOSSES, len(losses)))
    history = [
        {"step": line["step"]} | {key.removesuffix("_accuracy"): line[key] for key in line if key.endswith("_accuracy")}
        for line in metrics
        if "unseen-task_accuracy" in line
    ]
    return {
        "steps": progress.step,
        "seconds": round(progress.seconds, 1),
        "left_chance": progress.plateau_end,
        "losses": [[int(part[-1, 0]), round(float(part[:, 1].mean()), 4)] for part in parts],
        "history": history,
    }
