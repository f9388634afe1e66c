"""`gpicl train`: meta-train a learner on an environment."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS, find_preset
from gpicl_envs.commands.arguments import Assignments, Words
from gpicl_envs.learners.registry import LearnerSpec, parse_assignments

DEFAULT_PRESET = "fast"
PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}  # text to copy
NOT_EVALUATED = ("feedback", "action", "n_tasks", "split")  # arguments of an environment that only training has


class UncheckedTrainConfig(TrainConfig):
    """Lets bad values pass tyro, which would report them in its own way; `TrainConfig` checks them afterwards."""

    def __post_init__(self) -> None:
        """Check nothing."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of `gpicl train`.

    Args:
        config: how to train.
        learner: registered name, module:Class or checkpoint folder, with arguments after commas; if it is not the
            preset's, only the training settings of the preset are used.
        learner_kwargs: arguments of the learner that change, such as width=128.
        env: environment id.
        env_kwargs: arguments of the environment, such as n_tasks=4096 length=50.
        batch_size: episodes per step, of all processes together.
        out: folder of the run, for metrics.jsonl and checkpoints; by default runs/PRESET, or with --learner
            runs/LEARNER.
        resume: continue from the newest checkpoint in the folder.
        device: cpu or cuda.
    """

    config: tyro.conf.OmitArgPrefixes[UncheckedTrainConfig]
    learner: str
    batch_size: int
    learner_kwargs: Assignments = ()
    env: str = "GPICL-MNIST-v0"
    env_kwargs: Assignments = ()
    out: Path | None = None
    resume: bool = False
    device: str = "cpu"


def train(words: Words) -> None:
    """Meta-train a learner on an environment; on many processes or GPUs under `accelerate launch`.

    A preset is a learner with the settings that train it well; without one, it is `fast`. `gpicl train PRESET --help`
    shows its options and their values.

    Examples: `gpicl train`; `gpicl train similarity --env-kwargs n_tasks=4096 --out runs/few`; `gpicl train --learner
    my_agent:MyAgent --steps 500`; `accelerate launch --num_processes 2 -m gpicl_envs.cli train --device cuda`.
    """
    preset, options = parse_options(words)
    from gpicl_agents.training.checkpoint import latest_checkpoint
    from gpicl_agents.training.distributed import Processes
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.setup import set_up
    from gpicl_agents.training.supervised import train as run

    config, out = TrainConfig(**vars(options.config)), options.out or default_folder(preset, options.learner)
    agent, venv = set_up(
        options.learner,
        batch_size=options.batch_size,
        learner_kwargs=parse_assignments(options.learner_kwargs),
        env=options.env,
        env_kwargs=parse_assignments(options.env_kwargs),
        seed=config.seed,
        device=options.device,
    )
    console = Console(quiet=not Processes(agent.device).is_main)
    if options.resume and latest_checkpoint(out) is None:
        console.print(f"There is nothing to resume in {out}: training from scratch.", **PLAIN)
    with LiveReport(agent.name, config.steps, console) as live:
        progress = run(agent, venv, config, folder=out, resume=options.resume, report=live)
    console.print(outcome(progress, config.target), **PLAIN)
    if progress.stopped == "interrupted":
        console.print(f"Stopped and saved in {out}: the same command with --resume continues.", **PLAIN)
        raise SystemExit(130)
    console.print(evaluate_command(options.learner, out, options.env, options.env_kwargs), **PLAIN)


def parse_options(words: Words) -> tuple[str, TrainOptions]:
    """Return the name of the preset, the first word, and the options, whose defaults are the preset's."""
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = Words([DEFAULT_PRESET, *words])
    elif not words[0].startswith("-"):
        find_preset(words[0])
    presets = {
        name: TrainOptions(UncheckedTrainConfig(**vars(preset.config)), preset.spec, preset.batch_size)
        for name, preset in PRESETS.items()
    }
    options: TrainOptions = tyro.cli(
        tyro.extras.subcommand_type_from_defaults(
            presets, {name: preset.description for name, preset in PRESETS.items()}
        ),
        prog="gpicl train",
        description=inspect.getdoc(train),
        args=words,
        default=presets[DEFAULT_PRESET],
    )
    return words[0], options


def default_folder(preset: str, learner: str) -> Path:
    """Return runs/PRESET, or runs/LEARNER for another learner than the preset's."""
    name = preset if learner == PRESETS[preset].spec else LearnerSpec.parse(learner).name
    return Path("runs") / re.sub(r"\W+", "-", name)


def outcome(progress: Any, target: float | None) -> str:
    """Return how training ended, in one line."""
    text = f"{progress.step} steps in {progress.seconds:.0f} s"
    if progress.plateau_end is not None:
        text += f"; accuracy rose within the episode from step {progress.plateau_end} on"
    elif progress.on_plateau:
        text += "; accuracy did not rise within the episode (last ten examples against the first)"
    return text + (f"; the target of {target} was reached." if progress.stopped == "target" else ".")


def evaluate_command(learner: str, out: Path, env: str, env_kwargs: Assignments) -> str:
    """Return the command that evaluates what was trained: by labels, on new tasks of the same environment."""
    spec = LearnerSpec.parse(learner)
    target = spec.kwargs.get("learner", "") if spec.scheme else spec.name
    command = f"Evaluate: gpicl evaluate --learners {f'{target}@{out}' if ':' in target else out} knn"
    if env != "GPICL-MNIST-v0":
        command += f" --env {env}"
    kept = [text for text in env_kwargs if text.partition("=")[0] not in NOT_EVALUATED]
    return command + (f" --env-kwargs {' '.join(kept)}" if kept else "")
