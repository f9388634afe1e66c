"""`RunOptions`: what `gpicl train` and `gpicl train-rl` have in common."""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.learners.registry import LearnerSpec, parse_assignments
from gpicl_envs.registration import rl_environments

NOT_EVALUATED = ("feedback", "action", "n_tasks", "split")  # arguments of an environment that only training has


@dataclass(frozen=True)
class RunOptions:
    """A learner, and the environment that it is trained on.

    Args:
        learner: registered name, module:Class or checkpoint folder, with arguments after commas.
        batch_size: episodes per step, of all processes together.
        learner_kwargs: arguments of the learner that change, such as width=128.
        env: environment id.
        env_kwargs: arguments of the environment, such as n_tasks=4096 length=50.
        device: cpu or cuda.
        out: folder of the run, for metrics.jsonl and checkpoints; runs/PRESET by default, runs/LEARNER with --learner.
        resume: continue from the newest checkpoint in the folder.
    """

    learner: str
    batch_size: int
    learner_kwargs: Assignments = ()
    env: str = "GPICL-MNIST-v0"
    env_kwargs: Assignments = ()
    device: str = "cpu"
    out: Path | None = None
    resume: bool = False

    def train(
        self,
        run: Callable[..., Any],
        config: TrainConfig | RewardConfig,
        folder: Path,
        outcome: Callable[[Any, float | None], str],
    ) -> None:
        """Train, with a live view, and print how it ended and how to evaluate it.

        Args:
            run: `train` or `train_from_reward`.
            config: how to train.
            folder: of the run, if the user gave none.
            outcome: (progress, target) → a line.
        """
        from gpicl_agents.training.checkpoint import latest_checkpoint
        from gpicl_agents.training.distributed import Processes
        from gpicl_agents.training.live_report import LiveReport

        out = self.out or folder
        agent, venv = self.set_up(config.seed)
        console = Console(quiet=not Processes(agent.device).is_main)
        if self.resume and latest_checkpoint(out) is None:
            show(f"There is nothing to resume in {out}: training from scratch.", console)
        try:
            with LiveReport(agent.name, config.steps, console) as live:
                progress = run(agent, venv, config, folder=out, resume=self.resume, report=live)
        except KeyboardInterrupt:
            show_where_stopped(out, console)
            raise
        finally:
            venv.close()
        show(outcome(progress, config.target), console)
        show(f"Evaluate: {self.evaluate_command(out)}", console)

    def set_up(self, seed: int) -> tuple[Any, Any]:
        """Return the learner, with initial weights from the seed, and the vector environment."""
        from gpicl_agents.training.run_setup import set_up

        return set_up(
            self.learner,
            batch_size=self.batch_size,
            learner_kwargs=parse_assignments(self.learner_kwargs),
            env=self.env,
            env_kwargs=parse_assignments(self.env_kwargs),
            wrapping=self.wrapping,
            seed=seed,
            device=self.device,
        )

    @property
    def wrapping(self) -> dict[str, Any]:
        """What makes RL problems of the environment: nothing, unless options say so."""
        return {}

    def evaluate_command(self, out: Path) -> str:
        """Return the command that evaluates what was trained: by labels, on new tasks of the same environment."""
        spec = LearnerSpec.parse(self.learner)
        target = spec.kwargs.get("learner", "") if spec.scheme else spec.name
        folder = os.path.join(os.curdir, out) if out.name == str(out) else str(out)  # a path is not taken for a name
        if self.wrapping:
            return shlex.join(["gpicl", "diagnose", folder])
        kept = [text for text in self.env_kwargs if text.partition("=")[0] not in NOT_EVALUATED]
        shown = ["--env-kwargs", *kept] if kept else []
        if self.env in rl_environments():
            return shlex.join(["gpicl", "evaluate-rl", "--env", self.env, *shown, "--players", folder, "uniform"])
        words = ["gpicl", "evaluate", "--learners", f"{target}@{out}" if ":" in target else folder, "knn"]
        if self.env != "GPICL-MNIST-v0":
            words += ["--env", self.env]
        return shlex.join(words + shown)


def show_where_stopped(out: Path, console: Console) -> None:
    """Print what is kept of a run that was interrupted, and how to go on with it."""
    from gpicl_agents.training.checkpoint import latest_checkpoint, read_config

    checkpoint = latest_checkpoint(out)
    if checkpoint is None:
        show("Stopped before the first checkpoint: nothing is saved.", console)
    else:
        step = read_config(checkpoint)["step"]
        show(f"Stopped; saved at step {step} in {out}: the same command with --resume continues.", console)
