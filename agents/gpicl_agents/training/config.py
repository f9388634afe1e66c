"""How to train, from labels and from rewards: frozen dataclasses. Needs no torch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gpicl_envs.errors import check_bool, check_choice, check_fraction, check_integer, check_number, check_positive

Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["float32", "bf16"]
CompileMode = Literal["no", "default", "reduce-overhead", "max-autotune"]


class Budget:
    """What both configs have: a training ends after so many steps, or seconds if they are limited."""

    steps: int
    max_seconds: float | None
    target: float | None
    evaluate_every: int

    def _keep_ends(self, *least: float) -> None:
        """Keep what else may end the training: the seconds, and a target of at least so much."""
        if self.max_seconds is not None:
            _keep(self, check_positive, ("max_seconds",))
        if self.target is not None:
            _keep(self, check_number, ("target",), *least)
            if not self.evaluate_every:
                raise ValueError(f"target={self.target} needs evaluations, but evaluate_every=0: give a larger one.")

    def fraction_done(self, step: int, seconds: float) -> float:
        """Fraction of the training that is done, by steps or by time; 1 or more at its end."""
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return max(step / self.steps, by_time)


@dataclass(frozen=True)
class TrainConfig(Budget):
    """How to train.

    Args:
        steps: optimizer steps.
        learning_rate: peak of the schedule.
        warmup_steps: steps of the linear warm-up.
        schedule: after the warm-up: decay to 0 at the last step, or constant.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm.
        accumulate: batches per step; their mean gradient is that of one large batch.
        precision: bf16 runs the model under autocast, with weights and loss in float32.
        compile_mode: mode of torch.compile; reduce-overhead records CUDA graphs.
        seed: of the episodes (`gpicl train` takes it for the initial weights, too).
        max_seconds: if given, the schedule also ends after this much training time, evaluation not counted; two runs
            may then differ.
        target: if given, training ends once the accuracy over the last ten positions reaches it on unseen tasks; for
            regression, once the mean squared error over these falls to it.
        until_gain: whether training ends with the loss plateau, once accuracy rises within the episode, or the squared
            error falls (`Plateau`).
        evaluate_every: steps between evaluations on unseen tasks; 0 for none.
        evaluate_episodes: episodes per evaluation.
        evaluate_seen: evaluate on the meta-training tasks too.
        evaluate_datasets: evaluate on the test images of these datasets too, such as FashionMNIST.
        checkpoint_every: steps between checkpoints; 0 for one at the end.
        trackers: where the numbers of `metrics.jsonl` go too: tensorboard, wandb, mlflow (each needs the extra of its
            name), or another of the entry-point group `gpicl.trackers`.
    """

    steps: int = 1000
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    schedule: Schedule = "linear"
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    accumulate: int = 1
    precision: Precision = "float32"
    compile_mode: CompileMode = "no"
    seed: int = 0
    max_seconds: float | None = None
    target: float | None = None
    until_gain: bool = False
    evaluate_every: int = 50
    evaluate_episodes: int = 64
    evaluate_seen: bool = False
    evaluate_datasets: tuple[str, ...] = ()
    checkpoint_every: int = 200
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a setting that is out of range."""
        _keep(self, check_integer, ("steps", "accumulate", "evaluate_episodes"), 1)
        _keep(self, check_integer, ("warmup_steps", "seed", "evaluate_every", "checkpoint_every"), 0)
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("compile_mode", self.compile_mode, get_args(CompileMode))
        _keep(self, check_positive, ("learning_rate", "clip_norm"))
        _keep(self, check_number, ("weight_decay", "eps"), 0)
        _keep(self, check_bool, ("until_gain", "evaluate_seen"))
        _keep(self, _check_names, ("trackers", "evaluate_datasets"))
        self._keep_ends(0)
        betas_fit = isinstance(self.betas, tuple | list) and len(self.betas) == 2
        if not betas_fit or any(check_fraction("betas", beta) == 1 for beta in self.betas):
            raise ValueError(f"betas={self.betas!r} is not allowed: give two numbers from 0 to below 1.")
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))

    def learning_rate_at(self, step: int, seconds: float) -> float:
        """Return the learning rate of a step (0 is the first), after this many seconds of training."""
        warmup = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = max(0.0, 1.0 - self.fraction_done(step, seconds))
        decay = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * math.cos(math.pi * left)}[self.schedule]
        return self.learning_rate * (warmup * decay)


@dataclass(frozen=True)
class RewardConfig(Budget):
    """How to train from rewards.

    Args:
        steps: roll-outs, each of one problem in every environment.
        learning_rate: peak of the schedule: linear warm-up, then linear decay to 0.
        warmup_steps: steps of the warm-up.
        epochs: passes over each roll-out.
        minibatches: parts of a roll-out, each of whole problems; one optimizer step on each.
        clip: ε of PPO; of no effect with one epoch of one minibatch.
        discount: γ of the returns. With labels shown, no action changes what comes next: then γ = 0.
        gae_lambda: λ of the generalised advantages, for learners with a critic (`value_head`).
        value_weight: weight of the critic's squared error, in units of 1 / (1 − γ).
        entropy: weight of the policy's entropy, in nats, decaying to 0.
        clip_norm: largest gradient norm.
        seed: of the problems and the actions (`gpicl train-rl` takes it for the initial weights, too).
        max_seconds: if given, the schedule also ends after this much training time, evaluation not counted; two runs
            may then differ.
        target: if given, training ends once the mean return of unseen problems reaches it.
        evaluate_every: steps between evaluations on unseen problems; 0 for none.
        evaluate_problems: problems per evaluation.
        checkpoint_every: steps between checkpoints; 0 for one at the end.
        trackers: where the numbers of `metrics.jsonl` go too: tensorboard, wandb, mlflow (each needs the extra of its
            name), or another of the entry-point group `gpicl.trackers`.
    """

    steps: int = 1000
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    epochs: int = 1
    minibatches: int = 1
    clip: float = 0.2
    discount: float = 0.9
    gae_lambda: float = 0.95
    value_weight: float = 0.5
    entropy: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    max_seconds: float | None = None
    target: float | None = None
    evaluate_every: int = 50
    evaluate_problems: int = 256
    checkpoint_every: int = 200
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a setting that is out of range."""
        _keep(self, check_integer, ("steps", "epochs", "minibatches", "evaluate_problems"), 1)
        _keep(self, check_integer, ("warmup_steps", "seed", "evaluate_every", "checkpoint_every"), 0)
        _keep(self, check_positive, ("learning_rate", "clip", "clip_norm"))
        _keep(self, check_fraction, ("discount", "gae_lambda"))
        _keep(self, check_number, ("value_weight", "entropy"), 0)
        _keep(self, _check_names, ("trackers",))
        self._keep_ends()

    def learning_rate_at(self, step: int, seconds: float = 0.0) -> float:
        """Return the learning rate of a step (0 is the first), after this many seconds of training."""
        left = max(0.0, 1.0 - self.fraction_done(step, seconds))
        return self.learning_rate * left * min(1.0, (step + 1) / max(1, self.warmup_steps))


def _keep(config: Budget, check: Callable[..., Any], names: Sequence[str], *limits: float) -> None:
    """Keep settings as their check returns them: Python's own numbers, which checkpoints can hold."""
    for name in names:
        object.__setattr__(config, name, check(name, getattr(config, name), *limits))


def _check_names(name: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, tuple | list) or not all(isinstance(each, str) for each in given):
        hint = "; an object goes to train(..., trackers=[...])" if name == "trackers" else ""
        example = "tensorboard" if name == "trackers" else "FashionMNIST"
        raise ValueError(f"{name}={given!r} is not allowed: give names, as {name}=({example!r},){hint}.")
    return tuple(given)
