"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

from pathlib import Path

import tyro
from rich.console import Console

from gpicl_agents.commands.train import PLAIN, evaluate_command
from gpicl_agents.training.config import RewardConfig
from gpicl_envs.commands.arguments import Assignments
from gpicl_envs.learners.registry import parse_assignments


class UncheckedRewardConfig(RewardConfig):
    """Lets bad values pass tyro, which would report them in its own way; `RewardConfig` checks them afterwards."""

    def __post_init__(self) -> None:
        """Check nothing."""


def train_rl(
    config: tyro.conf.OmitArgPrefixes[UncheckedRewardConfig],
    learner: str = "transformer",
    learner_kwargs: Assignments = (),
    env: str = "GPICL-MNIST-v0",
    env_kwargs: Assignments = (),
    batch_size: int = 32,
    out: Path = Path("runs/train-rl"),
    device: str = "cpu",
) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone.

    Example: `gpicl train-rl --learner rl2-transformer --env-kwargs feedback=reward n_classes=5 length=50`.

    Args:
        config: how to train.
        learner: registered name or module:Class, with arguments after commas.
        learner_kwargs: arguments of the learner that change, such as width=128.
        env: environment id.
        env_kwargs: arguments of the environment; feedback=reward gives bandit feedback.
        batch_size: episodes per roll-out.
        out: folder of the run, for metrics.jsonl and a last checkpoint.
        device: cpu or cuda.
    """
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.reinforce import train_from_reward
    from gpicl_agents.training.setup import set_up

    console, checked = Console(), RewardConfig(**vars(config))
    agent, venv = set_up(
        learner,
        batch_size=batch_size,
        learner_kwargs=parse_assignments(learner_kwargs),
        env=env,
        env_kwargs=parse_assignments(env_kwargs),
        seed=checked.seed,
        device=device,
    )
    with LiveReport(agent.name, checked.steps, console) as live:
        progress = train_from_reward(agent, venv, checked, folder=out, report=live)
    console.print(f"{progress.step} steps. The last roll-outs were {100 * progress.accuracy:.0f} % right at their end.")
    console.print(evaluate_command(learner, out, env, env_kwargs), **PLAIN)
    if progress.stopped:
        console.print(f"Stopped and saved in {out}. A run from rewards cannot be resumed.", **PLAIN)
        raise SystemExit(130)
