"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

import inspect
from dataclasses import dataclass
from typing import Any

import tyro

from gpicl_agents.commands.preset_options import default_folder, parse_preset_options
from gpicl_agents.commands.run_options import RunOptions
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.presets import REWARD_PRESETS
from gpicl_envs.commands.arguments import Words
from gpicl_envs.registration import environments, rl_environments

DEFAULT_PRESET, FOR_RL, FOR_ANY = "rewards", "bandit", "control"
WRAPPING = ("trials", "project", "n_actions", "n_projections")


@dataclass(frozen=True, kw_only=True)
class TrainRLOptions(RunOptions):
    """Options of `gpicl train-rl`.

    Args:
        trials: episodes of a problem, which make problems of any environment of Gymnasium.
        project: numbers to which observations are projected at random, anew in each problem.
        n_actions: actions that stand for the environment's at random, at least as many, with --project.
        n_projections: how many projections there are, with --project; endless ones by default.
        config: how to train.
    """

    trials: int | None = None
    project: int | None = None
    n_actions: int | None = None
    n_projections: int | None = None
    config: tyro.conf.OmitArgPrefixes[RewardConfig]

    @property
    def wrapping(self) -> dict[str, Any]:
        """The arguments of `WrappedProblems`: those that are given, and all for an environment of another package."""
        is_ours = self.env in environments() | rl_environments()
        given = {name: getattr(self, name) for name in WRAPPING}
        return {name: value for name, value in given.items() if value is not None or not is_ours}


def train_rl(words: Words) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone; on many processes by `accelerate launch`.

    A preset is a learner with the settings that train it well; without one, it is the one for what --env names, or
    `rewards`. `gpicl train-rl PRESET --help` shows its options and their values.

    Examples: `gpicl train-rl --env GPICL-Bandit-v0`; `gpicl train-rl --env CartPole-v1 --trials 10`; `gpicl train-rl
    --env Pendulum-v1 --trials 3 --project 16 --n-actions 4`; `gpicl train-rl --learner rl2-transformer --env-kwargs
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
    other = DEFAULT_PRESET if env is None or env in environments() else FOR_ANY
    return next(own, FOR_RL if env in rl_environments() else other)
