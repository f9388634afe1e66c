"""What is watched while a learner trains: the three questions, and when its accuracy first rises in the episode."""

from collections.abc import Mapping

import torch

from gpicl_agents.training.config import TrainConfig
from gpicl_envs.evaluation.evaluate import LearningCurve, evaluate
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.learners.base import Learner
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution

EVALUATION_SEED = 1_000_003


class Plateau:
    """Finds the step at which the loss plateau ends: when the accuracy late in the episodes exceeds that at the start.

    At the first position nothing was told yet: what is known there was memorised in the weights, or is chance. A
    learner that only memorises never ends its plateau, however low its loss.

    Args:
        state: what `state` returned, to go on with.
    """

    MARGIN = 0.1  # of accuracy, over the last ten positions against the first
    MEMORY = 0.95  # of the running means: about twenty steps

    def __init__(self, state: Mapping[str, float | int | None] | None = None) -> None:
        state = state or {}
        self.gain, self.weight = float(state.get("gain") or 0.0), float(state.get("weight") or 0.0)
        left = state.get("left_at")
        self.left_at = None if left is None else int(left)

    def update(self, step: int, first: float, last: float) -> bool:
        """Take the accuracies of a step at the first and over the last positions; True at the step that left chance."""
        self.gain = self.MEMORY * self.gain + (1 - self.MEMORY) * (last - first)
        self.weight = self.MEMORY * self.weight + 1 - self.MEMORY
        if self.left_at is None and self.enough and self.gain / self.weight > self.MARGIN:
            self.left_at = step
            return True
        return False

    @property
    def enough(self) -> bool:
        """Whether the running means have seen enough steps to tell."""
        return self.weight > 0.5

    @property
    def state(self) -> dict[str, float | int | None]:
        """Plain values that a checkpoint keeps."""
        return {"gain": self.gain, "weight": self.weight, "left_at": self.left_at}


def first_and_last(correct: torch.Tensor) -> tuple[float, float]:
    """(B, N) right or wrong → accuracy at the first position and over the last ten."""
    share = correct.float().mean(0)
    return share[0].item(), share[-LAST:].mean().item()


def questions(tasks: EpisodeDistribution, config: TrainConfig) -> dict[str, tuple[EpisodeDistribution, str]]:
    """Return name → (tasks, protocol) of what is asked during training: unseen tasks, and what the config adds.

    Raises:
        ValueError: a dataset is unknown, missing, or cannot show tasks of the same D and K.
    """
    asked: dict[str, tuple[EpisodeDistribution, str]] = {UNSEEN_TASK: (tasks.unseen(), UNSEEN_TASK)}
    if config.evaluate_seen:
        asked[SEEN_TASK] = (tasks, SEEN_TASK)
    for name in config.evaluate_datasets:
        other = TaskDistribution(
            name,
            split="test",
            length=tasks.length,
            n_features=tasks.n_features,
            n_classes=tasks.n_classes,
            device=tasks.device,
        )
        asked[name] = (other, UNSEEN_DATASET)
    return asked


def ask(
    learner: Learner, asked: Mapping[str, tuple[EpisodeDistribution, str]], episodes: int
) -> dict[str, LearningCurve]:
    """Return the learning curve of each question."""
    return {
        name: evaluate(learner, tasks, episodes=episodes, seed=EVALUATION_SEED, protocol=protocol)
        for name, (tasks, protocol) in asked.items()
    }
