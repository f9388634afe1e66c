"""Evaluations of a meta-trained learner: on the tasks of its meta-training, on new tasks, and on unseen datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.evaluation.records import Band, Estimate
from gpicl_envs.learners.base import Learner, encoded, evaluating
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.base import EpisodeDistribution

SEED = 20_221_208  # of the evaluation episodes; meta-training never reads this stream
NEW_EXAMPLES = "seen tasks, new examples"
NEW_TASKS: dict[str, Any] = {"split": "test", "n_tasks": None, "examples_per_task": None, "permutation_bias": 0.0}
UNSEEN_LABEL = -1e4  # logit of a label that may not be answered: finite, but of probability 0
OF_LABELS = ("examples_per_task", "permutation_bias")  # of these arguments, those that functions do not have


@dataclass(frozen=True)
class Evaluation:
    """What a meta-trained learner is evaluated on.

    Args:
        name: in records and figures.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`.
        env_kwargs: arguments of `TaskDistribution` that differ from those of meta-training.
        episodes: E.
        only_seen: whether the learner may answer only with labels that it has seen in the episode (`OnlySeen`).
    """

    name: str
    protocol: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    episodes: int = 512
    only_seen: bool = False


@dataclass(frozen=True)
class Summary:
    """What is kept of a learning curve of N positions.

    For regression, accuracy stands for the fraction of the targets' variance that the predictions explain: how much
    smaller their squared error is than that of predicting 0.

    Args:
        episodes: E.
        first: accuracy at the first position.
        final: accuracy over the last ten positions.
        gain: the final accuracy minus the first one, of the same episodes.
        accuracy: accuracy at each position.
        error: squared error at each position, divided by the variance of the targets (regression).
        distances: reference learner → mean squared distance to its predictions, in units of y² (regression).
    """

    episodes: int
    first: Estimate
    final: Estimate
    gain: Estimate
    accuracy: Band
    error: Band | None = None
    distances: dict[str, Estimate] = field(default_factory=dict)


class OnlySeen(Learner):
    """Another learner, which may answer only with labels that it has seen in the episode: what a mask would give it.

    Before the first label it may answer with any.

    Args:
        learner: of labels.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner.n_features, learner.n_classes)
        self.learner = learner

    @property
    def name(self) -> str:
        """That of the learner."""
        return self.learner.name

    @property
    def device(self) -> torch.device:
        """That of the learner."""
        return self.learner.device

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        with evaluating(self.learner):
            logits = self.learner.predict(x, y)
        seen = encoded(y, self.n_classes).cumsum(1).roll(1, dims=1)
        seen[:, 0] = 1.0
        return logits.masked_fill(seen == 0, UNSEEN_LABEL)

    def state_size(self, n_examples: int) -> int:
        """That of the learner."""
        return self.learner.state_size(n_examples)


def seen_tasks(episodes: int = 512) -> Evaluation:
    """Tasks of meta-training, train images."""
    return Evaluation(SEEN_TASK, SEEN_TASK, {}, episodes)


def new_examples(episodes: int = 512) -> Evaluation:
    """Tasks of meta-training, test images."""
    return Evaluation(NEW_EXAMPLES, SEEN_TASK, {"split": "test", "examples_per_task": None}, episodes)


def unseen_tasks(episodes: int = 512) -> Evaluation:
    """New tasks, test images."""
    return Evaluation(UNSEEN_TASK, UNSEEN_TASK, NEW_TASKS, episodes)


def unseen_dataset(name: str, episodes: int = 512, **env_kwargs: Any) -> Evaluation:
    """New tasks of a dataset that meta-training never shows, at its own size if it has smaller images or none."""
    own_size = {"image_size": None} if name in ("Digits", "Clusters", "Random") else {}
    return Evaluation(name, UNSEEN_DATASET, {"dataset": name} | NEW_TASKS | own_size | env_kwargs, episodes)


def unseen_function(name: str, episodes: int = 512) -> Evaluation:
    """New tasks of a class of functions that meta-training never shows."""
    return Evaluation(name, UNSEEN_DATASET, {"function": name} | NEW_TASKS, episodes)


def find_available(
    evaluations: Sequence[Evaluation], env_kwargs: Mapping[str, Any]
) -> tuple[list[tuple[Evaluation, EpisodeDistribution]], dict[str, ValueError]]:
    """Return the evaluations that can be made here, each with its distribution, and name → why not for the others.

    Args:
        evaluations: some of them on unseen datasets: these may be missing, or unable to show such tasks.
        env_kwargs: of meta-training.

    Raises:
        ValueError: another evaluation cannot be made.
    """
    available, missing = [], {}
    left_out = OF_LABELS if "function" in env_kwargs else ()
    for evaluation in evaluations:
        changes = {name: value for name, value in evaluation.env_kwargs.items() if name not in left_out}
        try:
            available.append((evaluation, make_tasks(**dict(env_kwargs) | changes)))
        except ValueError as error:
            if evaluation.protocol != UNSEEN_DATASET:
                raise
            missing[evaluation.name] = error
    return available, missing


def summarize(curve: LearningCurve, baseline: LearningCurve | None = None) -> Summary:
    """Return what is kept of a learning curve, with 95 % intervals.

    Args:
        curve: of the learner.
        baseline: of another learner on the same episodes, whose gain is subtracted.
    """
    first = curve.scores[:, 0].astype(np.float64)
    gain, most = _gains(curve), 1.0
    if baseline is not None:
        gain, most = gain - _gains(baseline), 2.0
    step = 1 / min(curve.final_positions, curve.scores.shape[1])
    return Summary(
        episodes=len(curve.scores),
        first=Estimate(*_rounded(curve.interval(first))),
        final=Estimate(*_rounded(curve.final)),
        gain=Estimate(*_rounded(mean_interval(gain, curve.task_id, step=step, bounds=(-most, most)))),
        accuracy=Band(*_rounded(curve.interval(curve.scores))),
    )


def summarize_values(curve: LearningCurve, zero: LearningCurve, variance: ArrayLike) -> Summary:
    """Return what is kept of a learning curve of squared errors: the fraction of the variance that is explained.

    Args:
        curve: of the learner.
        zero: of the learner `uniform`, which predicts 0, on the same episodes.
        variance: of the targets, or (N,) at each position.
    """
    unit = np.asarray(variance, np.float64)
    explained = (zero.scores.astype(np.float64) - curve.scores) / unit
    first, final = explained[:, 0], explained[:, -curve.final_positions :].mean(1)
    kept = {"first": first, "final": final, "gain": final - first}
    estimates = {name: Estimate(*_rounded(mean_interval(values, curve.task_id))) for name, values in kept.items()}
    accuracy = Band(*_rounded(mean_interval(explained, curve.task_id)))
    distances = {name: Estimate(*_rounded(curve.interval(values))) for name, values in curve.distances.items()}
    error = Band(*_rounded([values / unit for values in curve.interval(curve.scores)]))
    return Summary(episodes=len(explained), accuracy=accuracy, error=error, distances=distances, **estimates)


def _gains(curve: LearningCurve) -> NDArray[np.float64]:
    """(E,) accuracy over the last positions minus that at the first."""
    return np.asarray(curve.final_scores - curve.scores[:, 0].astype(np.float64))


def _rounded(interval: Sequence[Any]) -> list[Any]:
    return [np.asarray(value, np.float64).round(4).tolist() for value in interval]
