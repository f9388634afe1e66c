"""`gpicl train`: meta-train a learner on an environment."""

import inspect
import re
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.console import Console

from gpicl_agents.commands.run_options import RunOptions, show_where_stopped
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS, find_preset
from gpicl_envs.commands.arguments import Words, show, unchecked
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.registration import find_environment

DEFAULT_PRESET, FOR_FUNCTIONS = "fast", "regression"


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Options of `gpicl train`.

    Args:
        config: how to train.
        out: folder of the run, for metrics.jsonl and checkpoints; runs/PRESET by default, runs/LEARNER with --learner.
        resume: continue from the newest checkpoint in the folder.
    """

    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    out: Path | None = None
    resume: bool = False


def train(words: Words) -> None:
    """Meta-train a learner on an environment; on many processes or GPUs under `accelerate launch`.

    A preset is a learner with the settings that train it well; without one, it is `fast`, or `regression` where --env
    names a class of functions. `gpicl train PRESET --help` shows its options and their values.

    Examples: `gpicl train`; `gpicl train similarity --env-kwargs n_tasks=4096 --out runs/few`; `gpicl train --learner
    my_agent:MyAgent --steps 500`; `accelerate launch --num_processes 2 -m gpicl_envs.cli train --device cuda`.
    """
    preset, options = parse_options(words)
    from gpicl_agents.training.checkpoint import latest_checkpoint
    from gpicl_agents.training.distributed import Processes
    from gpicl_agents.training.live_report import LiveReport, outcome
    from gpicl_agents.training.supervised import train as run

    config, out = options.config, options.out or default_folder(preset, options.learner)
    agent, venv = options.set_up(config.seed)
    console = Console(quiet=not Processes(agent.device).is_main)
    if options.resume and latest_checkpoint(out) is None:
        show(f"There is nothing to resume in {out}: training from scratch.", console)
    try:
        with LiveReport(agent.name, config.steps, console) as live:
            progress = run(agent, venv, config, folder=out, resume=options.resume, report=live)
    except KeyboardInterrupt:
        show_where_stopped(out, console)
        raise
    show(outcome(progress, config.target), console)
    show(f"Evaluate: {options.evaluate_command(out)}", console)


def parse_options(words: Words) -> tuple[str, TrainOptions]:
    """Return the name of the preset, the first word, and the options, whose defaults are the preset's."""
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = Words([_default_preset(words), *words])
    elif not words[0].startswith("-"):
        find_preset(words[0])
    presets = {
        name: TrainOptions(
            learner=preset.spec, batch_size=preset.batch_size, env=preset.env, config=unchecked(preset.config)
        )
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
    return words[0], replace(options, config=TrainConfig(**vars(options.config)))


def _default_preset(words: Words) -> str:
    """The preset for the environment that --env names."""
    given = " ".join(words).replace("=", " ").split()
    envs = [value for name, value in zip(given, given[1:], strict=False) if name == "--env"]
    return FOR_FUNCTIONS if envs and "function" in find_environment(envs[-1]).arguments else DEFAULT_PRESET


def default_folder(preset: str, learner: str) -> Path:
    """Return runs/PRESET, or runs/LEARNER for another learner than the preset's."""
    name = preset if learner == PRESETS[preset].spec else LearnerSpec.parse(learner).name
    return Path("runs") / re.sub(r"\W+", "-", name)
