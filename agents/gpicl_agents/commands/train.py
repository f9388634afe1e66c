"""`gpicl train`: meta-train a learner on an environment."""

import inspect
from dataclasses import dataclass

import tyro

from gpicl_agents.commands.preset_options import default_folder, parse_preset_options
from gpicl_agents.commands.run_options import RunOptions
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.commands.arguments import Words
from gpicl_envs.registration import find_environment

DEFAULT_PRESET, FOR_FUNCTIONS = "fast", "regression"


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Options of `gpicl train`.

    Args:
        config: how to train.
    """

    config: tyro.conf.OmitArgPrefixes[TrainConfig]


def train(words: Words) -> None:
    """Meta-train a learner on an environment; on many processes or GPUs under `accelerate launch`.

    A preset is a learner with the settings that train it well; without one, it is `fast`, or `regression` where --env
    names a class of functions. `gpicl train PRESET --help` shows its options and their values.

    Examples: `gpicl train`; `gpicl train similarity --env-kwargs n_tasks=4096 --out runs/few`; `gpicl train --learner
    my_agent:MyAgent --steps 500`; `accelerate launch --num_processes 2 -m gpicl_envs.cli train --device cuda`.
    """
    preset, options = parse_options(words)
    from gpicl_agents.training.live_report import outcome
    from gpicl_agents.training.supervised import train as run

    options.train(run, options.config, default_folder(preset, options.learner, PRESETS), outcome)


def parse_options(words: Words) -> tuple[str, TrainOptions]:
    """Return the name of the preset, the first word, and the options, whose defaults are the preset's."""
    return parse_preset_options(
        words, PRESETS, _default_preset, TrainOptions, "gpicl train", inspect.getdoc(train) or ""
    )


def _default_preset(env: str | None) -> str:
    """The preset for an environment."""
    return FOR_FUNCTIONS if env is not None and "function" in find_environment(env).arguments else DEFAULT_PRESET
