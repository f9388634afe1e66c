"""`train`: cross-entropy at every position of the episodes of a vector environment (the paper's objective J)."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gpicl_agents.checkpoint import Folder, latest_checkpoint, load_trainer, load_weights, read_config, save_checkpoint
from gpicl_envs.distribution import EpisodeDistribution
from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation import LearningCurve, check_classification, evaluate
from gpicl_envs.learner import Learner
from gpicl_envs.vector_env import InContextVectorEnv

METRICS = "metrics.jsonl"
EVALUATION_SEED = 1_000_003


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        steps: optimizer steps.
        learning_rate: peak of the schedule: linear warm-up, then linear decay to 0.
        warmup_steps: steps of the warm-up.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm.
        seed: seed of the episodes; every environment of the batch reads a stream of its own derived from it.
        max_seconds: if given, the schedule also ends after this much training time, evaluation not counted. Then two
            runs need not be equal.
        evaluate_every: steps between evaluations on unseen tasks; 0 for none.
        evaluate_episodes: episodes of such an evaluation.
        checkpoint_every: steps between checkpoints; 0 for the last only.
    """

    steps: int = 1000
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    seed: int = 0
    max_seconds: float | None = None
    evaluate_every: int = 50
    evaluate_episodes: int = 64
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, 1)
        for name in ("warmup_steps", "seed", "evaluate_every", "checkpoint_every"):
            check_integer(name, getattr(self, name), 0)
        check_integer("evaluate_episodes", self.evaluate_episodes, 1)
        for name in ("learning_rate", "clip_norm", "max_seconds"):
            if name == "max_seconds" and self.max_seconds is None:
                continue
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r} is not allowed: give a number above 0.")


@dataclass
class Progress:
    """Where training stands; given to the `report` function after every step.

    Args:
        step: steps done.
        seconds: training time so far, evaluation not counted.
        loss: mean cross-entropy of the last batch, in nats.
        learning_rate: of the last step.
        gradient_norm: before clipping.
        curve: the last evaluation on unseen tasks, if any.
        evaluated: whether `curve` is of this very step.
    """

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    learning_rate: float = 0.0
    gradient_norm: float = math.nan
    curve: LearningCurve | None = None
    evaluated: bool = False


@dataclass
class _Run:
    """A run's folder: metrics and checkpoints, or nothing if there is no folder."""

    folder: Path | None
    config: TrainConfig
    problem: dict[str, Any]
    buffer: list[str] = field(default_factory=list)

    def log(self, **values: Any) -> None:
        if self.folder is not None:
            self.buffer.append(json.dumps(values) + "\n")

    def flush(self) -> None:
        if self.folder is not None and self.buffer:
            with open(self.folder / METRICS, "a", encoding="utf-8") as file:
                file.writelines(self.buffer)
            self.buffer.clear()

    def begin(self, learner: Learner, optimizer: torch.optim.Optimizer, resume: bool) -> Progress:
        """Prepare the folder, or go on from its newest checkpoint."""
        progress = Progress()
        if self.folder is None:
            return progress
        checkpoint = latest_checkpoint(self.folder)
        if checkpoint is not None and not resume:
            raise ValueError(f"{self.folder} holds a run already: resume it (--resume), or give another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            json.dumps(self.problem)
        except TypeError as error:
            raise ValueError(
                f"{learner.name} cannot be kept as a checkpoint: its arguments are no JSON ({error})."
            ) from None
        if checkpoint is not None:
            self._check_problem(checkpoint)
            load_weights(checkpoint, learner)
            state = load_trainer(checkpoint)
            optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["rng"])
            progress.step, progress.seconds = state["step"], state["seconds"]
        self._forget_after(progress.step)
        return progress

    def save(self, learner: Learner, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        if self.folder is None:
            return
        self.flush()
        state = {
            "step": progress.step,
            "seconds": progress.seconds,
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
        }
        save_checkpoint(self.folder, learner, state, {"problem": self.problem, "config": asdict(self.config)})

    def _check_problem(self, checkpoint: Path) -> None:
        """A run goes on with the episodes and the learner that it began with; how it trains may change."""
        began = read_config(checkpoint)["training"].get("problem", {})
        changed = [
            f"{name}={began.get(name)!r}, now {value!r}"
            for name, value in self.problem.items()
            if began.get(name) != value
        ]
        if changed:
            raise ValueError(
                f"{self.folder} was begun with {'; '.join(changed)}: resume it with the same, or give another folder."
            )

    def _forget_after(self, step: int) -> None:
        """Drop metrics of steps that will be done again."""
        assert self.folder is not None
        path = self.folder / METRICS
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            path.write_text("".join(kept), encoding="utf-8")


def train(
    learner: Learner,
    venv: Any,
    config: TrainConfig | None = None,
    *,
    folder: Folder | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Progress:
    """Meta-train a learner on the episodes of a vector environment.

    Step s trains on episode s of every environment's stream, a function of the seed alone: a run that was killed and
    resumed ends with the very same weights (on one device, with the same threads, unless `max_seconds` is given).

    Args:
        learner: a `Learner` that is a `torch.nn.Module`, on the environment's device.
        venv: `gymnasium.make_vec("GPICL-MNIST-v0", num_envs=batch_size)`, or another of this package.
        config: how to train.
        folder: where checkpoints and `metrics.jsonl` go; nothing is kept without it.
        resume: go on from the folder's newest checkpoint, if it has one.
        report: called after every step.

    Raises:
        ValueError: the learner does not fit the environment, or the folder holds a run and `resume` is not set.
        FloatingPointError: the loss is not finite; the last checkpoint is kept.
    """
    config = config or TrainConfig()
    env = _batch_env(learner, venv)
    assert isinstance(learner, nn.Module)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )
    unseen = env.tasks.unseen()
    problem = env.tasks.arguments | {"batch_size": env.num_envs, "seed": config.seed}
    problem |= {f"learner's {name}": value for name, value in learner.get_params().items() if name != "seed"}
    run = _Run(None if folder is None else Path(folder), config, problem)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        progress = run.begin(learner, optimizer, resume)
        env.reset(seed=stream_seeds(config.seed, env.num_envs))
        learner.train()
        while not _finished(progress, config):
            started = time.perf_counter()
            _step(learner, parameters, optimizer, env, config, progress)
            progress.seconds += time.perf_counter() - started
            run.log(
                step=progress.step,
                loss=progress.loss,
                learning_rate=progress.learning_rate,
                gradient_norm=progress.gradient_norm,
                seconds=round(progress.seconds, 3),
            )
            last = _finished(progress, config)
            progress.evaluated = bool(config.evaluate_every) and (last or progress.step % config.evaluate_every == 0)
            if progress.evaluated:
                progress.curve = _evaluate(learner, unseen, config, run, progress.step)
            if last or (config.checkpoint_every and progress.step % config.checkpoint_every == 0):
                run.save(learner, optimizer, progress)
            if report is not None:
                report(progress)
    learner.eval()
    return progress


def stream_seeds(seed: int, n: int) -> list[int | None]:
    """Seeds of the n streams of a training run: other runs, and evaluations, share none of them."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n, np.uint64)]


def _step(
    learner: Learner,
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    env: InContextVectorEnv,
    config: TrainConfig,
    progress: Progress,
) -> None:
    """One optimizer step on one batch of episodes."""
    progress.learning_rate = config.learning_rate * _schedule(progress, config)
    for group in optimizer.param_groups:
        group["lr"] = progress.learning_rate
    episodes = env.sample_episodes(progress.step)
    logits = learner.predict(episodes.x, episodes.y)
    loss = cross_entropy(logits.flatten(0, 1), episodes.y.flatten())
    if not loss.isfinite():
        raise FloatingPointError(
            f"The loss is {loss.item()} at step {progress.step} (seed {config.seed}): lower the learning rate "
            f"({config.learning_rate}) or clip_norm ({config.clip_norm}), and resume from the last checkpoint."
        )
    optimizer.zero_grad()
    loss.backward()
    progress.gradient_norm = nn.utils.clip_grad_norm_(parameters, config.clip_norm).item()
    if not math.isfinite(progress.gradient_norm):
        raise FloatingPointError(
            f"The gradient's norm is {progress.gradient_norm} at step {progress.step} (seed {config.seed}), though the "
            "loss is finite: look for a root or a division at 0 in the learner, and resume from the last checkpoint."
        )
    optimizer.step()
    progress.loss = loss.item()
    progress.step += 1


def _schedule(progress: Progress, config: TrainConfig) -> float:
    """Factor of the learning rate: warm-up, then down to 0 at the last step (or second)."""
    warmup = min(1.0, (progress.step + 1) / max(1, config.warmup_steps))
    return warmup * max(0.0, 1.0 - _share_done(progress, config))


def _share_done(progress: Progress, config: TrainConfig) -> float:
    by_time = progress.seconds / config.max_seconds if config.max_seconds else 0.0
    return max(progress.step / config.steps, by_time)


def _finished(progress: Progress, config: TrainConfig) -> bool:
    return _share_done(progress, config) >= 1.0


def _evaluate(learner: Learner, tasks: EpisodeDistribution, config: TrainConfig, run: _Run, step: int) -> LearningCurve:
    curve = evaluate(learner, tasks, episodes=config.evaluate_episodes, seed=EVALUATION_SEED)
    run.log(
        step=step,
        unseen_accuracy=curve.correct.mean(0).round(4).tolist(),
        unseen_first=round(float(curve.correct[:, 0].mean()), 4),
        unseen_final=round(float(curve.final.mean), 4),
    )
    run.flush()
    return curve


def _batch_env(learner: Learner, venv: Any) -> InContextVectorEnv:
    env = venv.unwrapped
    if not isinstance(env, InContextVectorEnv):
        raise ValueError(f"train needs a vector environment from gymnasium.make_vec('GPICL-…'), given {venv}.")
    check_classification(env.tasks)
    if not isinstance(learner, nn.Module) or not any(p.requires_grad for p in learner.parameters()):
        raise ValueError(f"{learner.name} has no parameters to train: it is not a torch.nn.Module with parameters.")
    for attribute in ("n_features", "n_classes"):
        mine, theirs = getattr(learner, attribute), getattr(env.tasks, attribute)
        if mine != theirs:
            raise ValueError(
                f"{learner.name} has {attribute}={mine}, but the environment has {theirs}: make them equal."
            )
    if env.feedback != "label":
        raise ValueError(
            f"train learns from labels, but the environment gives feedback={env.feedback!r}: give 'label'."
        )
    if learner.device.type != env.device.type:
        raise ValueError(
            f"{learner.name} is on {learner.device}, but the environment on {env.device}: move one of them."
        )
    return env
