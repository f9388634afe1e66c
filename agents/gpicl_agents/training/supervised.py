"""`train`: cross-entropy at every position of the episodes of a vector environment (the paper's objective J).

For regression it is the squared error at every position, in units of the variance of the targets that the environment
knows, so that learning rates and clipping mean the same whatever D (Garg et al. 2022, arXiv:2208.01066, equation 2).

The same function trains on one CPU, one GPU, or on several of either under `accelerate launch`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.evaluation import Protocols, curve_metrics, find_protocols, learning_curves, reaches
from gpicl_agents.training.objective import Objective
from gpicl_agents.training.plateau import Plateau, first_and_last
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.tracking import Tracker
from gpicl_agents.training.trainer import Trainer
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
    return _LabelTrainer(learner, _check(learner, venv, config), config, folder, trackers).train(
        config.seed, resume, report
    )


class _LabelTrainer(Trainer):
    """A learner and its episodes."""

    source = "labels"
    config: TrainConfig

    def __init__(
        self,
        learner: Any,
        env: InContextVectorEnv,
        config: TrainConfig,
        folder: Folder | None,
        trackers: Sequence[Tracker],
    ) -> None:
        self.env, self.plateau = env, Plateau()
        adamw = {name: getattr(config, name) for name in ("betas", "eps", "weight_decay")}
        where = env.num_envs, env.device, folder, trackers
        super().__init__(learner, config, env.tasks, *where, adamw, accumulate=config.accumulate)
        self._try_learner()
        shown = torch.zeros(2, 2, env.tasks.n_features, device=env.device)
        variance, y = (env.tasks.target_variance if env.tasks.is_regression else None), shown[..., 0]
        objective = Objective(learner, config.precision, variance)
        self.objective = self.processes.wrap(objective, shown, y.long() if variance is None else y)
        if config.compile_mode != "no":
            self.objective.compile(mode=config.compile_mode)
        self.protocols: Protocols = find_protocols(env.tasks, config) if self.evaluates else {}

    def restore(self, state: dict[str, Any], progress: Progress) -> None:
        """Go on from the plateau found so far, and at the episodes of the next step."""
        self.plateau = Plateau(**state.get("plateau", {}))
        self.env.reset(seed=self.processes.local_slice(env_seeds(self.config.seed, self.batch_size)))
        progress.plateau_end = self.plateau.end
        if self.config.until_gain and progress.plateau_end is not None:
            progress.stopped = "gain"

    def learn(self, progress: Progress, interrupted: float) -> tuple[dict[str, Any], float]:
        """Take an optimizer step on the next episodes."""
        try:
            loss, first, last, progress.gradient_norm = self._gradients(progress.step)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            self._explain(error, progress.step)
            raise
        progress.loss, first, last, stop = self.processes.mean([loss, first, last, interrupted])
        self._check_finite("loss", progress.loss, progress.step)
        self._check_finite("gradient's norm", progress.gradient_norm, progress.step)
        self.optimizer.step()
        if self.env.tasks.is_regression:
            progress.explained = last
        else:
            progress.accuracy = last
        self.plateau.update(progress.step + 1, first, last)
        progress.plateau_end, progress.on_plateau = self.plateau.end, self.plateau.lasts
        if self.config.until_gain and progress.plateau_end is not None:
            progress.stopped = "gain"
        score = "explained" if self.env.tasks.is_regression else "accuracy"
        return {"loss": progress.loss, score: round(last, 4)}, stop

    def log(self, progress: Progress, values: dict[str, Any]) -> None:
        """Log the values of a step, and the end of the plateau."""
        self.run.log(
            progress.step,
            **values,
            learning_rate=progress.learning_rate,
            gradient_norm=progress.gradient_norm,
            seconds=round(progress.seconds, 3),
        )
        if progress.plateau_end == progress.step:
            self.run.log(progress.step, plateau_end=progress.step)

    def score(self, progress: Progress) -> float | None:
        """Evaluate on unseen tasks, and what else is asked for."""
        if not self.protocols:
            return None
        progress.evaluated = True
        progress.curves = learning_curves(self.learner, self.protocols, self.config.evaluate_episodes)
        progress.curve = progress.curves[UNSEEN_TASK]
        self.run.log(progress.step, **curve_metrics(progress.curves))
        self.run.flush()
        return float(progress.curve.final.mean)

    def reaches(self, score: float) -> bool:
        """Whether an accuracy is as high, or a squared error as low, as the target."""
        return self.config.target is not None and reaches(score, self.config.target, self.env.tasks)

    def kept(self, progress: Progress) -> dict[str, Any]:
        """Return the plateau, and the score for a run that ended because it reached its target."""
        kept: dict[str, Any] = {"plateau": asdict(self.plateau)}
        if progress.evaluated and progress.curve is not None:
            kept["score"] = float(progress.curve.final.mean)
        return kept

    def _try_learner(self) -> None:
        """Check the learner on short episodes, and that it takes the environment's: a cheat is not trained at all."""
        try:
            check_length(self.learner, self.env.tasks.length)
            check_learner(self.learner, batch_size=2, length=min(TRIAL_LENGTH, max(2, self.env.tasks.length)))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            self._explain(error, 0)
            raise

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

    def _check_finite(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            config = self.config
            raise FloatingPointError(
                f"The {what} is {value} at step {step} (seed {config.seed}): lower the learning rate "
                f"({config.learning_rate}) or clip_norm ({config.clip_norm}), or look for a root or a division at 0 in "
                "the learner, and resume from the last checkpoint."
            )

    def _explain(self, error: Exception, step: int) -> None:
        """Raise a memory error that says what to lower, if this was one."""
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            return
        raise MemoryError(
            f"Step {step} does not fit into the memory of {self.env.device}: lower the batch size (batch_size="
            f"{self.env.num_envs} episodes of length={self.env.tasks.length}) and raise accumulate (now "
            f"{self.config.accumulate}) by as much, which trains the same; or lower length, or the learner's width or "
            f"layers. The last checkpoint is kept. ({str(error).splitlines()[0]})"
        ) from error


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
