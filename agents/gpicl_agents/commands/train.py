"""`gpicl train`: meta-train a learner on an environment."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from gpicl_agents.commands.preset_options import default_folder, parse_preset_options
from gpicl_agents.commands.run_options import RunOptions, show_where_stopped
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.commands.arguments import Words, show
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

    config, out = options.config, options.out or default_folder(preset, options.learner, PRESETS)
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
    return parse_preset_options(
        words, PRESETS, _default_preset, TrainOptions, "gpicl train", inspect.getdoc(train) or ""
    )


def _default_preset(env: str | None) -> str:
    """The preset for an environment."""
    return FOR_FUNCTIONS if env is not None and "function" in find_environment(env).arguments else DEFAULT_PRESET
