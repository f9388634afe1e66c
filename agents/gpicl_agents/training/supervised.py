"""`train`: cross-entropy at every position of the episodes of a vector environment (the paper's objective J).

For regression it is the squared error at every position, in units of the variance of the targets that the environment
knows, so that learning rates and clipping mean the same whatever D (Garg et al. 2022, arXiv:2208.01066, equation 2).

The same function trains on one CPU, one GPU, or on several of either under `accelerate launch`.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import nn

from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.distributed import Processes
from gpicl_agents.training.evaluation import Protocols, curve_metrics, find_protocols, learning_curves, reaches
from gpicl_agents.training.interruption import INTERRUPTED, interruptible
from gpicl_agents.training.objective import Objective
from gpicl_agents.training.plateau import Plateau, first_and_last
from gpicl_agents.training.progress import Progress, is_stopped_by
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.run_folder import RunFolder
from gpicl_agents.training.tracking import Tracker
from gpicl_envs.envs.vector_env import InContextVectorEnv
from gpicl_envs.errors import check_fraction
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.check import check_fit, check_learner, check_length

TRIAL_LENGTH = 6  # examples of the trial episodes that a learner is checked on before its first step


def train(
    learner: Learner,
    venv: Any,
    config: TrainConfig | None = None,
    *,
    folder: Folder | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    trackers: Sequence[Tracker] = (),
) -> Progress:
    """Meta-train a learner on the episodes of a vector environment.

    Step s trains on the next episodes of every environment's stream, a function of the seed alone: a run that was
    killed and resumed ends with the same weights (on one device, with as many threads, without `max_seconds`).
    SIGINT (Ctrl-C) or SIGTERM stops after the step, with a checkpoint; a second one stops at once.

    Args:
        learner: a `Learner` that is a `torch.nn.Module`, on the environment's device.
        venv: `gymnasium.make_vec("GPICL-MNIST-v0", num_envs=batch_size)`, or another of this package. Under
            `accelerate launch`, each process makes `batch_size / number of processes` environments. Whole episodes are
            drawn from it, so wrappers around it change nothing.
        config: how to train.
        folder: for checkpoints and `metrics.jsonl`; without it, nothing is written.
        resume: continue from the folder's newest checkpoint, if it has one.
        report: called after every step; to stop the training, it sets `Progress.stopped`.
        trackers: objects that take the numbers of `metrics.jsonl` too, beside those named by `config.trackers`. (They
            are no part of the config, which every checkpoint keeps as JSON.)

    Raises:
        LearnerCheckError: the learner fails `gpicl_envs.check_learner`.
        ValueError: the learner does not fit, the folder is in use, it holds a run and `resume` is not set, or a tracker
            cannot begin.
        FloatingPointError: the loss is not finite; the last checkpoint is kept.
        MemoryError: the batch does not fit; the message says which setting to lower.
        OSError: metrics or a checkpoint cannot be written; the last checkpoint is kept.
        KeyboardInterrupt: a signal stopped the training.
    """
    config = config or TrainConfig()
    trainer = _Trainer(learner, _check(learner, venv, config), config, folder, trackers)
    try:
        with seeded(config.seed), interruptible() as interrupted, closing(trainer.run):
            progress = trainer.begin(resume)
            while not trainer.is_finished(progress) and not progress.stopped:
                trainer.step(progress, interrupted)
                trainer.evaluate(progress)
                trainer.save(progress)
                if is_stopped_by(report, progress):
                    trainer.save(progress)
            trainer.run.finished = trainer.is_finished(progress)
    finally:
        trainer.learner.eval()
    return progress


class _Trainer:
    """A learner, its optimizer, its episodes and its folder."""

    def __init__(
        self,
        learner: Any,
        env: InContextVectorEnv,
        config: TrainConfig,
        folder: Folder | None,
        trackers: Sequence[Tracker],
    ) -> None:
        self.learner, self.env, self.config = learner, env, config
        self.processes, self.plateau = Processes(env.device), Plateau()
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        settings = {name: getattr(config, name) for name in ("betas", "eps", "weight_decay")}
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, fused=True, **settings)
        self._try_learner()
        shown = torch.zeros(2, 2, env.tasks.n_features, device=env.device)
        variance, y = (env.tasks.target_variance if env.tasks.is_regression else None), shown[..., 0]
        objective = Objective(learner, config.precision, variance)
        self.objective = self.processes.wrap(objective, shown, y.long() if variance is None else y)
        if config.compile_mode != "no":
            self.objective.compile(mode=config.compile_mode)
        self.batch_size = env.num_envs * self.processes.count
        fixed = {"trained on": "labels", "batch_size": self.batch_size, "seed": config.seed}
        fixed |= {"accumulate": config.accumulate}
        self.run = RunFolder(folder, config, learner, env.tasks, fixed, self.processes.is_main, trackers)
        evaluates = bool(config.evaluate_every) and self.processes.is_main
        self.protocols: Protocols = find_protocols(env.tasks, config) if evaluates else {}

    def begin(self, resume: bool) -> Progress:
        """Return the progress to continue from: none, or that of the newest checkpoint."""
        state = self.run.begin(self.optimizer, resume)
        self.plateau = Plateau(**state.get("plateau", {}))
        self.env.reset(seed=self.processes.local_slice(env_seeds(self.config.seed, self.batch_size)))
        self.learner.train()
        end, target = self.plateau.end, self.config.target
        reached = target is not None and "score" in state and reaches(state["score"], target, self.env.tasks)
        stopped = "target" if reached else "gain" if self.config.until_gain and end is not None else ""
        return Progress(state.get("step", 0), state.get("seconds", 0.0), plateau_end=end, stopped=stopped)

    def is_finished(self, progress: Progress) -> bool:
        """Whether nothing is left to do."""
        return (
            progress.stopped in ("gain", "target") or self.config.fraction_done(progress.step, progress.seconds) >= 1.0
        )

    def step(self, progress: Progress, interrupted: Event) -> None:
        """Take one optimizer step, and log it; find out whether one of the processes was interrupted."""
        started = time.perf_counter()
        progress.learning_rate = self.config.learning_rate_at(progress.step, progress.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = progress.learning_rate
        try:
            loss, first, last, progress.gradient_norm = self._gradients(progress.step)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise self._explained(error, progress.step) from error
        progress.loss, first, last, stop = self.processes.mean([loss, first, last, float(interrupted.is_set())])
        self._check_finite("loss", progress.loss, progress.step)
        self._check_finite("gradient's norm", progress.gradient_norm, progress.step)
        self.optimizer.step()
        progress.step += 1
        if self.env.tasks.is_regression:
            progress.explained = last
        else:
            progress.accuracy = last
        self.plateau.update(progress.step, first, last)
        progress.plateau_end, progress.on_plateau = self.plateau.end, self.plateau.lasts
        if self.config.until_gain and progress.plateau_end is not None:
            progress.stopped = "gain"
        if stop:
            interrupted.set()
            progress.stopped = progress.stopped or INTERRUPTED
        progress.seconds += self.processes.mean([time.perf_counter() - started])[0]
        self._log(progress)

    def evaluate(self, progress: Progress) -> None:
        """Evaluate if it is due; stop if the target is reached."""
        config, progress.evaluated = self.config, False
        if not config.evaluate_every or not self._is_due(config.evaluate_every, progress):
            return
        reached = False
        if self.protocols:
            progress.evaluated = True
            progress.curves = learning_curves(self.learner, self.protocols, config.evaluate_episodes)
            progress.curve = progress.curves[UNSEEN_TASK]
            self.run.log(progress.step, **curve_metrics(progress.curves))
            self.run.flush()
            final = float(progress.curve.final.mean)
            reached = config.target is not None and reaches(final, config.target, self.env.tasks)
        if config.target is not None and self.processes.mean([float(reached)])[0]:
            progress.stopped = "target"

    def save(self, progress: Progress) -> None:
        """Write a checkpoint if it is due."""
        if self._is_due(self.config.checkpoint_every, progress) or progress.stopped:
            state = {"step": progress.step, "seconds": progress.seconds, "plateau": asdict(self.plateau)}
            if progress.evaluated and progress.curve is not None:
                state["score"] = float(progress.curve.final.mean)  # for a run that ended because it reached its target
            self.run.save(self.optimizer, state)

    def _is_due(self, every: int, progress: Progress) -> bool:
        return self.is_finished(progress) or (every > 0 and progress.step % every == 0)

    def _try_learner(self) -> None:
        """Check the learner on short episodes, and that it takes the environment's: a cheat is not trained at all."""
        try:
            check_length(self.learner, self.env.tasks.length)
            check_learner(self.learner, batch_size=2, length=min(TRIAL_LENGTH, max(2, self.env.tasks.length)))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise self._explained(error, 0) from error

    def _gradients(self, step: int) -> list[float]:
        """Make the clipped mean gradients of the step's batches.

        Returns:
            The mean loss, the score at the first and the last positions, and the gradient's norm before clipping, read
            from the device at once: a GPU waits for each read.
        """
        self.optimizer.zero_grad()
        totals = torch.zeros(3, dtype=torch.float64, device=self.env.device)
        for i in range(self.config.accumulate):
            episodes = self.env.sample_episodes(step * self.config.accumulate + i)
            with self.processes.accumulating(self.objective, i == self.config.accumulate - 1):
                loss, score = self.objective(episodes.x, episodes.y)
                (loss / self.config.accumulate if self.config.accumulate > 1 else loss).backward()
            totals += torch.stack([loss.detach(), *first_and_last(score)])
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        return torch.cat([totals / self.config.accumulate, norm[None]]).tolist()

    def _log(self, progress: Progress) -> None:
        score = "explained" if self.env.tasks.is_regression else "accuracy"
        self.run.log(
            progress.step,
            loss=progress.loss,
            **{score: round(getattr(progress, score), 4)},
            learning_rate=progress.learning_rate,
            gradient_norm=progress.gradient_norm,
            seconds=round(progress.seconds, 3),
        )
        if progress.plateau_end == progress.step:
            self.run.log(progress.step, plateau_end=progress.step)

    def _check_finite(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            config = self.config
            raise FloatingPointError(
                f"The {what} is {value} at step {step} (seed {config.seed}): lower the learning rate "
                f"({config.learning_rate}) or clip_norm ({config.clip_norm}), or look for a root or a division at 0 in "
                "the learner, and resume from the last checkpoint."
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


def env_seeds(seed: int, n: int) -> list[int | None]:
    """Seeds of the n environments of a training run: other runs, and evaluations, share none of their streams."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(n, np.uint64)]


def _check(learner: Learner, venv: Any, config: TrainConfig) -> InContextVectorEnv:
    env = venv.unwrapped
    if not isinstance(env, InContextVectorEnv):
        raise ValueError(f"train needs a vector environment from gymnasium.make_vec('GPICL-…'), given {venv}.")
    if config.target is not None and not env.tasks.is_regression:
        check_fraction("target", config.target)
    if not isinstance(learner, Learner):
        raise ValueError(
            f"{type(learner).__name__} is not a Learner: derive it from `Learner, nn.Module`, in this order."
        )
    if not isinstance(learner, nn.Module) or not any(p.requires_grad for p in learner.parameters()):
        raise ValueError(f"{learner.name} has no parameters to train: it is not a torch.nn.Module with parameters.")
    check_fit(learner, env.tasks)
    if env.feedback != "label":
        raise ValueError(
            f"train learns from labels, but the environment gives feedback={env.feedback!r}: give 'label'."
        )
    if learner.device.type != env.device.type:
        raise ValueError(
            f"{learner.name} is on {learner.device}, but the environment on {env.device}: move one of them."
        )
    return env
