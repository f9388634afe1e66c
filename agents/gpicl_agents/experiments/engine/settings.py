"""What several experiments share: the problem, the learner and the training of each scale, and the usual questions.

Small scale: MNIST at 14 × 14 pixels, D = 196, paired tokens and a narrow input projection, which together leave the
plateau within a minute of one CPU core. Paper scale: D = 784 and the paper's Transformer, for a GPU.
"""

from dataclasses import dataclass
from typing import Any

from gpicl_agents.diagnosis import NEW_EXAMPLES, SEEN, UNSEEN
from gpicl_agents.experiments.engine.trial import Question


@dataclass(frozen=True)
class Setting:
    """What a scale trains with; an experiment changes what it varies.

    Args:
        tasks: arguments of `TaskDistribution`.
        transformer: arguments of `Transformer`.
        training: arguments of `TrainConfig`.
        batch_size: B, episodes a step.
    """

    tasks: dict[str, Any]
    transformer: dict[str, Any]
    training: dict[str, Any]
    batch_size: int


SMALL = Setting(
    tasks={"dataset": "MNIST", "n_features": 196, "image_size": 14},
    transformer={"width": 128, "n_layers": 2, "n_heads": 4, "mlp_width": 256, "input_rank": 64},
    training={
        "steps": 500,
        "learning_rate": 6e-3,
        "warmup_steps": 50,
        "evaluate_every": 0,
        "checkpoint_every": 250,
    },
    batch_size=16,
)
PAPER = Setting(
    tasks={"dataset": "MNIST", "n_features": 784},
    transformer={"tokens": "paper", "width": 256, "n_layers": 4, "n_heads": 8, "input_rank": 0},
    training={
        "steps": 50_000,
        "learning_rate": 1e-3,
        "warmup_steps": 1000,
        "precision": "bf16",
        "evaluate_every": 0,
        "checkpoint_every": 1000,
    },
    batch_size=512,
)
SETTINGS = {"small": SMALL, "paper": PAPER}

CIFAR10_COPY = "CIFAR10-jpeg75"  # a lossy copy (JPEG, quality 75), asked if the data folder has it as an npz file

_NEW_TASKS: dict[str, Any] = {"split": "test", "n_tasks": None, "examples_per_task": None, "permutation_bias": 0.0}


def seen(episodes: int = 512) -> Question:
    """Tasks of meta-training, train images."""
    return Question(SEEN, "seen-task", {}, episodes)


def new_examples(episodes: int = 512) -> Question:
    """Tasks of meta-training, test images."""
    return Question(NEW_EXAMPLES, "seen-task", {"split": "test", "examples_per_task": None}, episodes)


def unseen(episodes: int = 512) -> Question:
    """New tasks, test images."""
    return Question(UNSEEN, "unseen-task", _NEW_TASKS, episodes)


def unseen_dataset(name: str, episodes: int = 512) -> Question:
    """New tasks of a dataset never seen in meta-training, those that are smaller or are no images at their own size."""
    own_size = {"image_size": None} if name in ("Digits", "Clusters", "Random") else {}
    return Question(name, "unseen-dataset", {"dataset": name} | _NEW_TASKS | own_size, episodes)
