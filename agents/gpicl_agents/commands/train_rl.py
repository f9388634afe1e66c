"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

import inspect
from dataclasses import dataclass

import tyro

from gpicl_agents.commands.preset_options import default_folder, parse_preset_options
from gpicl_agents.commands.run_options import RunOptions
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.presets import REWARD_PRESETS
from gpicl_envs.commands.arguments import Words
from gpicl_envs.registration import rl_environments

DEFAULT_PRESET, FOR_RL = "rewards", "bandit"


@dataclass(frozen=True, kw_only=True)
class TrainRLOptions(RunOptions):
    """Options of `gpicl train-rl`.

    Args:
        config: how to train.
    """

    config: tyro.conf.OmitArgPrefixes[RewardConfig]


def train_rl(words: Words) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone; on many processes by `accelerate launch`.

    A preset is a learner with the settings that train it well; without one, it is the one for what --env names, or
    `rewards`. `gpicl train-rl PRESET --help` shows its options and their values.

    Examples: `gpicl train-rl --env GPICL-Bandit-v0`; `gpicl train-rl --learner rl2-transformer --env-kwargs
    feedback=reward n_classes=5 length=50`.
    """
    preset, options = parse_options(words)
    from gpicl_agents.training.live_report import reward_outcome
    from gpicl_agents.training.reinforce import train_from_reward

    folder = default_folder(preset, options.learner, REWARD_PRESETS)
    options.train(train_from_reward, options.config, folder, reward_outcome)


def parse_options(words: Words) -> tuple[str, TrainRLOptions]:
    """Return the name of the preset, the first word, and the options, whose defaults are the preset's."""
    return parse_preset_options(
        words, REWARD_PRESETS, _default_preset, TrainRLOptions, "gpicl train-rl", inspect.getdoc(train_rl) or ""
    )


def _default_preset(env: str | None) -> str:
    """The preset for an environment."""
    own = (name for name, preset in REWARD_PRESETS.items() if preset.env == env)
    return next(own, FOR_RL if env in rl_environments() else DEFAULT_PRESET)
