"""`evaluate`: a learner on a distribution of tasks → its learning curve, with intervals, and a record to keep."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from gpicl_envs.datasets import ARRAY_ID
from gpicl_envs.distribution import EpisodeDistribution
from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.learner import Learner, evaluating
from gpicl_envs.metrics import LAST, Interval, bootstrap
from gpicl_envs.records import SCHEMA
from gpicl_envs.testing import check_logits

QUESTIONS = ("seen", "unseen-task", "unseen-dataset")


@dataclass(frozen=True)
class LearningCurve:
    """What a learner did in E episodes of N examples, all learners on the same episodes.

    Args:
        learner: its name.
        n_parameters: number of its meta-trained parameters.
        state_size: numbers that its last prediction can read.
        correct: (E, N) whether each prediction was right.
        nll: (E, N) negative log-likelihood of each label, in nats.
        task_id: (E,) task of each episode, −1 for one-off tasks.
        env_id: the environment that shows these episodes.
        tasks: the arguments of the distribution.
        split: the question asked: `"seen"`, `"unseen-task"` or `"unseen-dataset"`.
        seed: seed of the episodes.
        wall_seconds: time that the learner's predictions took.
        device: where it computed.
    """

    learner: str
    n_parameters: int
    state_size: int
    correct: NDArray[np.bool_]
    nll: NDArray[np.float32]
    task_id: NDArray[np.int64]
    env_id: str
    tasks: dict[str, Any]
    split: str
    seed: int
    wall_seconds: float
    device: str

    @property
    def accuracy(self) -> Interval:
        """Accuracy at each position: three arrays (N,)."""
        return bootstrap(self.correct, self.task_id)

    @property
    def final(self) -> Interval:
        """Accuracy over the last ten positions."""
        return bootstrap(self.correct[:, -LAST:].mean(1), self.task_id)

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        accuracy, final = self.accuracy, self.final
        environment = dict(self.tasks)
        if self.env_id != ARRAY_ID:
            del environment["dataset"]  # the id says it
        return {
            "schema": SCHEMA,
            "learner": self.learner,
            "n_parameters": self.n_parameters,
            "state_size": self.state_size,
            "env": self.env_id,
            "env_kwargs": environment,
            "split": self.split,
            "seed": self.seed,
            "episodes": len(self.correct),
            "accuracy": _rounded(accuracy.mean),
            "accuracy_low": _rounded(accuracy.low),
            "accuracy_high": _rounded(accuracy.high),
            "nll": _rounded(self.nll.mean(0)),
            "final": _rounded(final.mean),
            "final_low": _rounded(final.low),
            "final_high": _rounded(final.high),
            "final_right": self.correct[:, -LAST:].sum(1).tolist(),
            "task_id": None if (self.task_id < 0).all() else self.task_id.tolist(),
            "wall_seconds": round(self.wall_seconds, 3),
            "device": self.device,
            "versions": package_versions(),
            "commit": source_commit(),
        }


def evaluate(
    learner: Learner,
    tasks: EpisodeDistribution,
    *,
    episodes: int = 1024,
    seed: int = 0,
    split: str = "unseen-task",
    batch_size: int = 16,
) -> LearningCurve:
    """Return the learning curve of one learner; see `evaluate_all`."""
    return evaluate_all([learner], tasks, episodes=episodes, seed=seed, split=split, batch_size=batch_size)[0]


@torch.no_grad()
def evaluate_all(
    learners: Sequence[Learner],
    tasks: EpisodeDistribution,
    *,
    episodes: int = 1024,
    seed: int = 0,
    split: str = "unseen-task",
    batch_size: int = 16,
) -> list[LearningCurve]:
    """Return the learning curve of each learner on the same episodes.

    Args:
        learners: the learners.
        tasks: where the episodes come from; number 0 … episodes − 1 of the stream `seed`.
        episodes: E.
        seed: another seed gives other episodes; the batch size does not change them. With the question "seen", these
            are the first environment's own, where a loop of yours trains on one reset with this seed: take another.
        split: the question that this asks of the learners: `"seen"`, `"unseen-task"` or `"unseen-dataset"`.
        batch_size: B, episodes at a time.

    Raises:
        ValueError: a learner is made for another D or K, or an argument is out of range.
        LearnerCheckError: a learner returned something else than finite (B, N, K) logits.
    """
    check_integer("episodes", episodes, 1)
    check_integer("batch_size", batch_size, 1)
    check_choice("split", split, QUESTIONS)
    if split != "seen" and tasks.n_tasks is not None:
        raise ValueError(
            f"split={split!r} asks for new tasks, but n_tasks={tasks.n_tasks} names those of meta-training."
        )
    check_classification(tasks)
    for learner in learners:
        _check_fit(learner, tasks)
    correct, nll = (np.zeros((len(learners), episodes, tasks.length), kind) for kind in (bool, np.float32))
    task_id = np.zeros(episodes, np.int64)
    seconds = [0.0] * len(learners)
    for first in range(0, episodes, batch_size):
        batch = tasks.sample(min(batch_size, episodes - first), seed, first)
        rows = slice(first, first + len(batch))
        task_id[rows] = batch.task_id.cpu().numpy()
        for i, learner in enumerate(learners):
            start = time.perf_counter()
            x, y = batch.x.to(learner.device), batch.y.to(learner.device)
            with evaluating(learner):
                logits = learner.predict(x, y)
            check_logits(logits, (*y.shape, tasks.n_classes), f"{learner.name}.predict(x, y)")
            correct[i, rows] = (logits.argmax(2) == y).cpu().numpy()
            nll[i, rows] = cross_entropy(logits.float().mT, y, reduction="none").cpu().numpy()
            seconds[i] += time.perf_counter() - start
    return [
        LearningCurve(
            learner=learner.name,
            n_parameters=learner.n_parameters,
            state_size=learner.state_size(tasks.length - 1),
            correct=correct[i],
            nll=nll[i],
            task_id=task_id,
            env_id=tasks.env_id,
            tasks=tasks.arguments,
            split=split,
            seed=seed,
            wall_seconds=seconds[i],
            device=str(learner.device),
        )
        for i, learner in enumerate(learners)
    ]


def check_classification(tasks: EpisodeDistribution) -> None:
    """Raise ValueError unless the tasks have labels: learners predict labels, so they cannot be scored on values."""
    if tasks.is_regression:
        raise ValueError(
            f"{tasks.env_id} is regression: its targets are real values, but learners predict labels. Step the "
            "environment, or fit tasks.sample(...), where .y holds the values; or give a classification environment."
        )


def _check_fit(learner: Learner, tasks: EpisodeDistribution) -> None:
    for letter, attribute in (("D", "n_features"), ("K", "n_classes")):
        mine, theirs = getattr(learner, attribute), getattr(tasks, attribute)
        if mine != theirs:
            raise ValueError(
                f"{learner.name} is made for {attribute}={mine}, but the tasks have {theirs} ({letter}): make one of "
                "them to fit the other."
            )


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("gpicl-envs", "torch", "numpy", "gymnasium")}
    return packages | {"python": sys.version.split()[0]}


@cache
def source_commit() -> str | None:
    """Return the commit of the source that runs, with `+` if it was changed; None outside a git checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _rounded(values: NDArray[np.floating[Any]]) -> Any:
    return np.asarray(values, np.float64).round(5).tolist()
