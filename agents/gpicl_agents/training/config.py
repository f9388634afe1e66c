"""How to train, from labels and from reward: frozen dataclasses. Needs no torch."""

import math
from dataclasses import dataclass

from gpicl_envs.errors import check_choice, check_fraction, check_integer, check_number

SCHEDULES = ("linear", "cosine", "constant")
PRECISIONS = ("float32", "bf16")
COMPILE_MODES = ("no", "default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        steps: optimizer steps.
        learning_rate: peak of the schedule.
        warmup_steps: steps of the linear warm-up.
        schedule: after it, `"linear"` or `"cosine"` decay to 0 at the last step, or `"constant"`.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm.
        accumulate: batches a step; their mean gradient is that of one batch as large as all.
        precision: `"float32"`, or `"bf16"`: the model under autocast, weights and loss in float32.
        compile: mode of `torch.compile`, or `"no"`; `"reduce-overhead"` records CUDA graphs.
        seed: seed of the episodes; every environment of the batch reads a stream of its own derived from it.
        max_seconds: if given, the schedule also ends after this much training time, evaluation not counted. Then two
            runs need not be equal.
        target: if given, training ends once the accuracy over the last ten positions reaches it on unseen tasks.
        until_gain: whether training ends with the loss plateau, once accuracy rises within the episode (`Plateau`).
        evaluate_every: steps between evaluations on unseen tasks; 0 for none.
        evaluate_episodes: episodes of such an evaluation.
        evaluate_seen: evaluate on the meta-training tasks too.
        evaluate_datasets: evaluate on the test images of these datasets too, never seen in meta-training.
        checkpoint_every: steps between checkpoints; 0 for the last only.
        tensorboard: write TensorBoard events beside `metrics.jsonl` (needs the `tracking` extra).
    """

    steps: int = 1000
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    schedule: str = "linear"
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    accumulate: int = 1
    precision: str = "float32"
    compile: str = "no"
    seed: int = 0
    max_seconds: float | None = None
    target: float | None = None
    until_gain: bool = False
    evaluate_every: int = 50
    evaluate_episodes: int = 64
    evaluate_seen: bool = False
    evaluate_datasets: tuple[str, ...] = ()
    checkpoint_every: int = 200
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises ValueError."""
        for name in ("steps", "accumulate", "evaluate_episodes"):
            check_integer(name, getattr(self, name), 1)
        for name in ("warmup_steps", "seed", "evaluate_every", "checkpoint_every"):
            check_integer(name, getattr(self, name), 0)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("compile", self.compile, COMPILE_MODES)
        for name in ("learning_rate", "clip_norm", "max_seconds"):
            if name == "max_seconds" and self.max_seconds is None:
                continue
            if not check_number(name, getattr(self, name), 0):
                raise ValueError(f"{name}=0 is not allowed: give a number above 0.")
        check_number("weight_decay", self.weight_decay, 0)
        check_number("eps", self.eps, 0)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ValueError(f"betas={self.betas!r} is not allowed: give two numbers from 0 to below 1.")
        for beta in self.betas:
            if check_fraction("betas", beta) == 1:
                raise ValueError(f"betas={self.betas!r} is not allowed: give two numbers from 0 to below 1.")
        if self.target is not None:
            check_fraction("target", self.target)
            if not self.evaluate_every:
                raise ValueError(f"target={self.target} is never looked at with evaluate_every=0: give both.")

    def factor(self, step: int, seconds: float) -> float:
        """Factor of the learning rate at a step (0 for the first), after this many seconds of training."""
        warmup = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = max(0.0, 1.0 - self.fraction_done(step, seconds))
        if self.schedule == "constant":
            return warmup
        return warmup * (left if self.schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left))

    def fraction_done(self, step: int, seconds: float) -> float:
        """Share of the training that is done, by steps or by time; 1 or more at its end."""
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return max(step / self.steps, by_time)


@dataclass(frozen=True)
class RewardConfig:
    """How to train from reward.

    Args:
        steps: roll-outs, each of one episode in every environment.
        learning_rate: peak: linear warm-up, then linear decay to 0.
        warmup_steps: steps of the warm-up.
        epochs: passes over each roll-out.
        clip: ε of PPO; of no effect with one epoch.
        discount: γ of the returns with bandit feedback. With feedback `"label"` no action changes what comes, so γ = 0.
        entropy: weight of the policy's entropy, in nats, decaying to 0.
        clip_norm: largest gradient norm.
        seed: seed of the episodes and the actions.
        tensorboard: write TensorBoard events.
    """

    steps: int = 1000
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    epochs: int = 1
    clip: float = 0.2
    discount: float = 0.9
    entropy: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises ValueError."""
        for name in ("steps", "epochs"):
            check_integer(name, getattr(self, name), 1)
        for name in ("warmup_steps", "seed"):
            check_integer(name, getattr(self, name), 0)
        check_fraction("discount", self.discount)
        check_number("entropy", self.entropy, 0)
        for name in ("learning_rate", "clip", "clip_norm"):
            if not check_number(name, getattr(self, name), 0):
                raise ValueError(f"{name}=0 is not allowed, it would train nothing: give a number above 0.")
