"""`Trainer`: the loop of training from labels and from rewards: steps, evaluations, checkpoints, and its end."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from threading import Event
from typing import Any

import torch

from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_agents.training.distributed import Processes
from gpicl_agents.training.interruption import INTERRUPTED, interruptible
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.run_folder import RunFolder, TrainedOn
from gpicl_agents.training.tracking import Tracker


class Trainer(ABC):
    """A learner, its optimizer and the folder of its run; a subclass says what a step and an evaluation are.

    Args:
        learner: what is trained.
        config: how.
        problems: what it is trained on; a run is resumed on the same.
        num_envs: problems in a step of this process.
        device: of the environment.
        folder: for checkpoints and `metrics.jsonl`, or None.
        trackers: further trackers, as objects.
        adamw: settings of the optimizer, beside the learning rate.
        **fixed: what else must not change when the run is resumed.
    """

    source: str  # what it learns from: labels or rewards

    def __init__(
        self,
        learner: Any,
        config: TrainConfig | RewardConfig,
        problems: TrainedOn,
        num_envs: int,
        device: torch.device,
        folder: Folder | None,
        trackers: Sequence[Tracker],
        adamw: dict[str, Any],
        **fixed: Any,
    ) -> None:
        self.learner, self.config, self.processes = learner, config, Processes(device)
        self.parameters = [p for p in learner.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.learning_rate, fused=True, **adamw)
        self.batch_size = num_envs * self.processes.count
        fixed |= {"trained on": self.source, "batch_size": self.batch_size, "seed": config.seed}
        self.run = RunFolder(folder, config, learner, problems, fixed, self.processes.is_main, trackers)
        self.evaluates = bool(config.evaluate_every) and self.processes.is_main
        self.saved = 0  # the step of the last checkpoint

    def train(self, seed: int, resume: bool, report: Callable[[Progress], None] | None) -> Progress:
        """Train to the end, or until something stops it; the seed is that of torch's own generators."""
        with seeded(seed), interruptible() as interrupted, closing(self.run):
            progress = self.begin(resume)
            self.learner.train()
            try:
                while not self.is_finished(progress) and not progress.stopped:
                    self.step(progress, interrupted)
                    self.evaluate(progress)
                    self.save(progress)
                    if report is not None:
                        report(progress)
                        self.save(progress)  # if it stopped the training
            finally:
                self.learner.eval()
            self.run.finished = self.is_finished(progress)
        return progress

    def begin(self, resume: bool) -> Progress:
        """Return the progress to continue from: none, or that of the newest checkpoint."""
        state = self.run.begin(self.optimizer, resume)
        progress = Progress(state.get("step", 0), state.get("seconds", 0.0))
        self.restore(state, progress)
        if "score" in state and self.reaches(state["score"]):
            progress.stopped = "target"
        self.saved = progress.step
        return progress

    def is_finished(self, progress: Progress) -> bool:
        """Whether nothing is left to do."""
        done = self.config.fraction_done(progress.step, progress.seconds)
        return progress.stopped in ("gain", "target") or done >= 1.0

    def step(self, progress: Progress, interrupted: Event) -> None:
        """Take a step, and log it; find out whether one of the processes was interrupted."""
        started = time.perf_counter()
        progress.learning_rate = self.config.learning_rate_at(progress.step, progress.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = progress.learning_rate
        values, stop = self.learn(progress, float(interrupted.is_set()))
        progress.step += 1
        if stop:
            interrupted.set()  # on all processes, as each raises KeyboardInterrupt
            progress.stopped = progress.stopped or INTERRUPTED
        progress.seconds += self.processes.mean([time.perf_counter() - started])[0]
        self.log(progress, values)

    def evaluate(self, progress: Progress) -> None:
        """Evaluate if it is due; stop if the target is reached."""
        progress.evaluated = False
        if not self.config.evaluate_every or not self.is_due(self.config.evaluate_every, progress):
            return
        score = self.score(progress)
        reached = score is not None and self.reaches(score)
        if self.config.target is not None and self.processes.mean([float(reached)])[0]:
            progress.stopped = "target"

    def save(self, progress: Progress) -> None:
        """Write a checkpoint if it is due, once for each step: to replace one would be to lose it for a moment."""
        if progress.step > self.saved and (self.is_due(self.config.checkpoint_every, progress) or progress.stopped):
            self.run.save(self.optimizer, {"step": progress.step, "seconds": progress.seconds} | self.kept(progress))
            self.saved = progress.step

    def is_due(self, every: int, progress: Progress) -> bool:
        """Whether something is done after this step that is done every so many, and at the end."""
        return self.is_finished(progress) or (every > 0 and progress.step % every == 0)

    @abstractmethod
    def restore(self, state: dict[str, Any], progress: Progress) -> None:
        """Set what a subclass has from the newest checkpoint's state, which is empty if there is none."""

    @abstractmethod
    def learn(self, progress: Progress, interrupted: float) -> tuple[dict[str, Any], float]:
        """Take the optimizer's steps.

        Args:
            progress: to which the loss and the like are written.
            interrupted: 1.0 if this process was interrupted, else 0.0.

        Returns:
            The values to log, and the mean of `interrupted` over the processes.
        """

    @abstractmethod
    def log(self, progress: Progress, values: dict[str, Any]) -> None:
        """Log the values of a step."""

    @abstractmethod
    def score(self, progress: Progress) -> float | None:
        """Evaluate on unseen problems; None where another process does."""

    @abstractmethod
    def reaches(self, score: float) -> bool:
        """Whether a score reaches the target; False if there is none."""

    @abstractmethod
    def kept(self, progress: Progress) -> dict[str, Any]:
        """Return what a checkpoint keeps of the progress beside steps and seconds: `score`, if it was just found."""
