"""Evaluation during training: on unseen tasks, and on the protocols and datasets that the config adds."""

from collections.abc import Mapping
from typing import Any

from gpicl_agents.training.config import TrainConfig
from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.learners.base import Learner
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution

EVALUATION_SEED = 1_000_003

Protocols = Mapping[str, tuple[EpisodeDistribution, str]]


def find_protocols(tasks: EpisodeDistribution, config: TrainConfig) -> Protocols:
    """Return name → (tasks, protocol) of all that is evaluated during training.

    Args:
        tasks: of meta-training.
        config: which protocols and datasets are evaluated besides unseen tasks.

    Raises:
        ValueError: a dataset is unknown or missing, or has no tasks of the same D and K.
    """
    protocols: dict[str, tuple[EpisodeDistribution, str]] = {UNSEEN_TASK: (tasks.unseen(), UNSEEN_TASK)}
    if config.evaluate_seen:
        protocols[SEEN_TASK] = (tasks, SEEN_TASK)
    same = {name: getattr(tasks, name) for name in ("length", "n_features", "n_classes", "device")}
    for name in config.evaluate_datasets:
        protocols[name] = (TaskDistribution(name, split="test", **same), UNSEEN_DATASET)
    return protocols


def learning_curves(learner: Learner, protocols: Protocols, episodes: int) -> dict[str, LearningCurve]:
    """Return the learning curve of each of the protocols."""
    return {
        name: evaluate(learner, tasks, episodes=episodes, seed=EVALUATION_SEED, protocol=protocol)
        for name, (tasks, protocol) in protocols.items()
    }


def curve_metrics(curves: Mapping[str, LearningCurve]) -> dict[str, Any]:
    """Return what `metrics.jsonl` keeps of learning curves.

    Accuracy or squared error by position, at the first, and over the last; for regression also the mean squared
    distance to each reference (`gpicl_envs.evaluation.references`).
    """
    values: dict[str, Any] = {}
    for name, curve in curves.items():
        values[f"{name}_{curve.metric}"] = curve.mean.round(4).tolist()
        values[f"{name}_first"] = round(float(curve.scores[:, 0].mean()), 4)
        values[f"{name}_final"] = round(float(curve.final.mean), 4)
        for reference, distances in curve.distances.items():
            values[f"{name}_distance_to_{reference}"] = round(float(distances.mean()), 4)
    return values


def reaches(score: float, target: float, tasks: EpisodeDistribution) -> bool:
    """Return whether an accuracy is at least the target, or for regression a squared error at most."""
    return score <= target if tasks.is_regression else score >= target
