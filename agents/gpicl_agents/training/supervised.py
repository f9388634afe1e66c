"""`train`: cross-entropy at every position of the episodes of a vector environment (the paper's objective J).

The same function trains on one CPU, one GPU, or on many of either under `accelerate launch`.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.distributed import Processes
from gpicl_agents.training.plateau import Plateau, ask, first_and_last, questions
from gpicl_agents.training.run_folder import RunFolder
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.evaluate import check_classification
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.check import check_learner

TRIAL_LENGTH = 6  # examples of the trial episodes that a learner is checked on before its first step


@dataclass
class Progress:
    """Where training stands; given to the `report` function after every step.

    Args:
        step: steps done.
        seconds: training time so far, evaluation not counted.
        loss: mean cross-entropy of the last step's episodes, in nats.
        learning_rate: of the last step.
        gradient_norm: before clipping.
        accuracy: over the last ten positions of the last step's episodes.
        left_chance: the step at which the loss plateau ended, if it has (see `gpicl_agents.training.plateau.Plateau`).
        no_gain: whether enough steps were seen to say that it has not.
        curve: the last evaluation on unseen tasks, if any.
        curves: the last evaluation, by question: `"unseen-task"`, `"seen-task"`, or the name of an unseen dataset.
        evaluated: whether `curve` is of this very step.
        stopped: why training ended before its last step: `"target"`, `"gain"`, `"interrupted"`, or empty.
    """

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    learning_rate: float = 0.0
    gradient_norm: float = math.nan
    accuracy: float = math.nan
    left_chance: int | None = None
    no_gain: bool = False
    curve: LearningCurve | None = None
    curves: dict[str, LearningCurve] | None = None
    evaluated: bool = False
    stopped: str = ""


class Objective(nn.Module):
    """The loss of a learner on a batch, as one module: what is compiled, and what processes average gradients of.

    Args:
        learner: the learner.
        precision: `"float32"` or `"bf16"`.
    """

    def __init__(self, learner: Learner, precision: str) -> None:
        super().__init__()
        self.learner = learner
        self.precision = precision

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), (B, N) → mean cross-entropy in nats, and (B, N) whether each prediction was right."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.learner.predict(x, y)
        return cross_entropy(logits.flatten(0, 1).float(), y.flatten()), logits.argmax(2) == y


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

    Step s trains on the next episodes of every environment's stream, a function of the seed alone: a run that was
    killed and resumed ends with the very same weights (on one device, with the same threads, unless `max_seconds` is
    given). SIGINT (Ctrl-C) saves a checkpoint and stops; a second one stops at once.

    Args:
        learner: a `Learner` that is a `torch.nn.Module`, on the environment's device.
        venv: `gymnasium.make_vec("GPICL-MNIST-v0", num_envs=batch_size)`, or another of this package. Under
            `accelerate launch` each process gives its share of the batch: `batch_size / number of processes`.
        config: how to train.
        folder: where checkpoints and `metrics.jsonl` go; nothing is kept without it.
        resume: go on from the folder's newest checkpoint, if it has one.
        report: called after every step.

    Raises:
        LearnerCheckError: the learner breaks the protocol of `gpicl_envs.learners.check.check_learner`.
        ValueError: the learner does not fit the environment, or the folder holds a run and `resume` is not set.
        FloatingPointError: the loss is not finite; the last checkpoint is kept.
        MemoryError: the batch does not fit; the message says which setting to lower.
    """
    config = config or TrainConfig()
    env = _batch_env(learner, venv)
    assert isinstance(learner, nn.Module)
    processes = Processes(env.device)
    trainer = _Trainer(learner, env, config, processes)
    trainer.try_out()
    asked = questions(env.tasks, config) if config.evaluate_every and processes.is_main else {}
    run = RunFolder(None if folder is None else Path(folder), config, trainer.problem, processes.is_main)
    with torch.random.fork_rng(), interruptible() as interrupted:
        torch.manual_seed(config.seed)
        progress = trainer.begin(run, resume)
        while not trainer.finished(progress):
            trainer.step(progress, float(interrupted.is_set()))
            trainer.log(run, progress)
            last = trainer.finished(progress)
            due = bool(config.evaluate_every) and (last or progress.step % config.evaluate_every == 0)
            progress.evaluated = due and processes.is_main
            if progress.evaluated:
                _evaluate(learner, asked, run, progress, config)
            if due and config.target is not None:
                reached = progress.curve is not None and progress.curve.final.mean >= config.target
                progress.stopped = "target" if processes.mean([float(reached)])[0] else progress.stopped
                last = trainer.finished(progress)
            if last or (config.checkpoint_every and progress.step % config.checkpoint_every == 0):
                run.save(learner, trainer.optimizer, trainer.state(progress))
            if report is not None:
                report(progress)
        run.close()
    learner.eval()
    return progress


def stream_seeds(seed: int, n: int) -> list[int | None]:
    """Seeds of the n streams of a training run: other runs, and evaluations, share none of them."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n, np.uint64)]


class _Trainer:
    """The learner, its optimizer and its episodes."""

    def __init__(self, learner: Any, env: InContextVectorEnv, config: TrainConfig, processes: Processes) -> None:
        self.learner, self.env, self.config, self.processes = learner, env, config, processes
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.learning_rate,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.objective = processes.wrap(Objective(learner, config.precision))
        if config.compile != "no":
            self.objective.compile(mode=config.compile)
        self.batch_size = env.num_envs * processes.count
        self.plateau = Plateau()
        self.problem = env.tasks.arguments | {"batch_size": self.batch_size, "seed": config.seed}
        self.problem |= {"accumulate": config.accumulate, "trained on": "labels"}
        self.problem |= {f"learner's {name}": value for name, value in learner.get_params().items() if name != "seed"}

    def try_out(self) -> None:
        """Check the learner on short episodes: one that sees the future, say, is not trained at all."""
        try:
            check_learner(self.learner, batch_size=2, length=min(TRIAL_LENGTH, max(2, self.env.tasks.length)))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise self._explained(error, 0) from error

    def begin(self, run: RunFolder, resume: bool) -> Progress:
        """Return where to go on: the beginning, or the newest checkpoint."""
        state = run.begin(self.learner, self.optimizer, resume)
        self.plateau = Plateau(state.get("plateau"))
        streams = stream_seeds(self.config.seed, self.batch_size)
        self.env.reset(seed=self.processes.share(streams))
        self.learner.train()
        left = self.plateau.left_at
        stopped = "gain" if self.config.until_gain and left is not None else ""
        return Progress(state.get("step", 0), state.get("seconds", 0.0), left_chance=left, stopped=stopped)

    def state(self, progress: Progress) -> dict[str, Any]:
        """Return what a checkpoint keeps beside weights, optimizer and random state."""
        return {"step": progress.step, "seconds": progress.seconds, "plateau": self.plateau.state}

    def finished(self, progress: Progress) -> bool:
        """Whether there is nothing left to do."""
        return bool(progress.stopped) or self.config.fraction_done(progress.step, progress.seconds) >= 1.0

    def step(self, progress: Progress, interrupted: float) -> None:
        """One optimizer step."""
        started = time.perf_counter()
        progress.learning_rate = self.config.learning_rate * self.config.factor(progress.step, progress.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = progress.learning_rate
        try:
            loss, first, last = self._gradients(progress.step)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise self._explained(error, progress.step) from error
        progress.loss, first, last, stop = self.processes.mean([loss, first, last, interrupted])
        self._check(progress)
        progress.gradient_norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm).item()
        if not math.isfinite(progress.gradient_norm):
            raise FloatingPointError(
                f"The gradient's norm is {progress.gradient_norm} at step {progress.step} (seed {self.config.seed}), "
                "though the loss is finite: look for a root or a division at 0 in the learner, and resume from the "
                "last checkpoint."
            )
        self.optimizer.step()
        progress.step, progress.accuracy = progress.step + 1, last
        self.plateau.update(progress.step, first, last)
        progress.left_chance = self.plateau.left_at
        progress.no_gain = self.plateau.left_at is None and self.plateau.enough
        if self.config.until_gain and progress.left_chance is not None:
            progress.stopped = "gain"
        progress.stopped = "interrupted" if stop else progress.stopped
        (passed,) = self.processes.mean([time.perf_counter() - started])
        progress.seconds += passed

    def log(self, run: RunFolder, progress: Progress) -> None:
        """Keep the step's numbers."""
        run.log(
            progress.step,
            loss=progress.loss,
            accuracy=round(progress.accuracy, 4),
            learning_rate=progress.learning_rate,
            gradient_norm=progress.gradient_norm,
            seconds=round(progress.seconds, 3),
        )
        if progress.left_chance == progress.step:
            run.log(progress.step, left_chance=progress.step)

    def _gradients(self, step: int) -> tuple[float, float, float]:
        """Mean gradients of the step's batches; their loss, and accuracy at the first and the last positions."""
        self.optimizer.zero_grad()
        totals = np.zeros(3)
        for i in range(self.config.accumulate):
            episodes = self.env.sample_episodes(step * self.config.accumulate + i)
            with self.processes.apart(self.objective, i == self.config.accumulate - 1):
                loss, correct = self.objective(episodes.x, episodes.y)
                (loss / self.config.accumulate if self.config.accumulate > 1 else loss).backward()
            totals += loss.item(), *first_and_last(correct)
        loss_, first, last = (totals / self.config.accumulate).tolist()
        return loss_, first, last

    def _check(self, progress: Progress) -> None:
        if not math.isfinite(progress.loss):
            raise FloatingPointError(
                f"The loss is {progress.loss} at step {progress.step} (seed {self.config.seed}): lower the learning "
                f"rate ({self.config.learning_rate}) or clip_norm ({self.config.clip_norm}), and resume from the last "
                "checkpoint."
            )

    def _explained(self, error: Exception, step: int) -> Exception:
        """A memory error that says what to lower; any other error as it is."""
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            return error
        return MemoryError(
            f"Step {step} does not fit into the memory of {self.env.device}: lower the batch size (batch_size="
            f"{self.env.num_envs} episodes of length={self.env.tasks.length}) and raise accumulate (now "
            f"{self.config.accumulate}) by as much, which trains the same; or lower length, or the learner's width or "
            f"layers. The last checkpoint is kept. ({str(error).splitlines()[0]})"
        )


def _evaluate(learner: Learner, asked: Any, run: RunFolder, progress: Progress, config: TrainConfig) -> None:
    progress.curves = ask(learner, asked, config.evaluate_episodes)
    progress.curve = progress.curves[UNSEEN_TASK]
    values: dict[str, Any] = {}
    for name, curve in progress.curves.items():
        values[f"{name}_accuracy"] = curve.scores.mean(0).round(4).tolist()
        values[f"{name}_first"] = round(float(curve.scores[:, 0].mean()), 4)
        values[f"{name}_final"] = round(float(curve.final.mean), 4)
    run.log(progress.step, **values)
    run.flush()


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Within, the first SIGINT sets the event, and the second interrupts as ever."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
        yield event
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _batch_env(learner: Learner, venv: Any) -> InContextVectorEnv:
    env = venv.unwrapped
    if not isinstance(env, InContextVectorEnv):
        raise ValueError(f"train needs a vector environment from gymnasium.make_vec('GPICL-…'), given {venv}.")
    check_classification(env.tasks)
    if not isinstance(learner, Learner):
        raise ValueError(f"{type(learner).__name__} is no Learner: derive it from `Learner, nn.Module`, in that order.")
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
