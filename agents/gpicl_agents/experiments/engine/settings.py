"""`Setting`: the problem, the Transformer and the training of each scale; an experiment changes what it varies.

Small scale: MNIST at 14 × 14 pixels, D = 196, paired tokens and a narrow input projection, which together leave the
plateau within a minute of one CPU core. Paper scale: D = 784 and the paper's Transformer, for a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpicl_agents.evaluations import Evaluation
from gpicl_agents.experiments.engine.trial import Trial

CIFAR10_COPY = "CIFAR10-jpeg75"  # a lossy copy (JPEG, quality 75), if the data folder has it as an npz file


@dataclass(frozen=True)
class Setting:
    """What is trained at a scale, and how.

    Args:
        env_kwargs: arguments of `TaskDistribution`.
        transformer: arguments of `Transformer`.
        train_kwargs: arguments of `TrainConfig`.
        batch_size: B, episodes per step.
    """

    env_kwargs: dict[str, Any]
    transformer: dict[str, Any]
    train_kwargs: dict[str, Any]
    batch_size: int

    def trial(
        self,
        axes: dict[str, Any],
        evaluations: Sequence[Evaluation],
        *,
        learner: str = "transformer",
        learner_kwargs: dict[str, Any] | None = None,
        env_kwargs: dict[str, Any] | None = None,
        train_kwargs: dict[str, Any] | None = None,
        batch_size: int | None = None,
        references: dict[str, str] | None = None,
        during: Sequence[Evaluation] = (),
        inspected: Evaluation | None = None,
        shown: Sequence[Evaluation] = (),
    ) -> Trial:
        """Return a trial of this setting with the seed `axes["seed"]`; see `Trial` for the arguments.

        `env_kwargs` and `train_kwargs` are added to the setting's; `learner_kwargs` replace those of its Transformer.
        """
        seed = {"seed": axes["seed"]}
        return Trial(
            axes=axes,
            learner=learner,
            learner_kwargs=(self.transformer if learner_kwargs is None else learner_kwargs) | seed,
            env_kwargs=self.env_kwargs | (env_kwargs or {}),
            train_kwargs=self.train_kwargs | (train_kwargs or {}) | seed,
            batch_size=batch_size or self.batch_size,
            evaluations=tuple(evaluations),
            references=references or {},
            during=tuple(during),
            inspected=inspected,
            shown=tuple(shown),
        )


SMALL = Setting(
    env_kwargs={"dataset": "MNIST", "n_features": 196, "image_size": 14},
    transformer={"width": 128, "n_layers": 2, "n_heads": 4, "mlp_width": 256, "input_rank": 64},
    train_kwargs={
        "steps": 500,
        "learning_rate": 6e-3,
        "warmup_steps": 50,
        "evaluate_every": 0,
        "checkpoint_every": 250,
    },
    batch_size=16,
)
PAPER = Setting(
    env_kwargs={"dataset": "MNIST", "n_features": 784},
    transformer={"tokens": "paper", "width": 256, "n_layers": 4, "n_heads": 8, "input_rank": 0},
    train_kwargs={
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
PROBLEM: dict[str, Any] = {"function": "LinearRegression", "n_features": 8, "length": 16, "noise": 0.5}
FUNCTIONS = {  # linear ones, as in Raventós et al. 2023; small scale has the narrow layers of the preset `regression`
    "small": Setting(
        env_kwargs=PROBLEM,
        transformer={"width": 64, "n_layers": 4, "n_heads": 1, "mlp_width": 128},
        train_kwargs={
            "steps": 1500,
            "learning_rate": 3e-3,
            "warmup_steps": 100,
            "evaluate_every": 0,
            "checkpoint_every": 500,
        },
        batch_size=64,
    ),
    "paper": Setting(
        env_kwargs=PROBLEM,
        transformer={"width": 128, "n_layers": 8, "n_heads": 2, "mlp_width": 512},
        train_kwargs={
            "steps": 500_000,
            "learning_rate": 1e-3,
            "warmup_steps": 1000,
            "evaluate_every": 0,
            "checkpoint_every": 5000,
        },
        batch_size=256,
    ),
}
SEEDS = {"small": 2, "paper": 3}  # runs of each trial, unless an experiment has its own number
