"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

from pathlib import Path

import tyro
from rich.console import Console

from gpicl_agents.commands.run_options import RunOptions
from gpicl_agents.training.config import RewardConfig
from gpicl_envs.commands.arguments import show, unchecked

RUN = RunOptions("transformer", batch_size=32)
CONFIG = unchecked(RewardConfig())


def train_rl(
    run: tyro.conf.OmitArgPrefixes[RunOptions] = RUN,
    config: tyro.conf.OmitArgPrefixes[RewardConfig] = CONFIG,
    out: Path = Path("runs/train-rl"),
) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone.

    Example: `gpicl train-rl --learner rl2-transformer --env-kwargs feedback=reward n_classes=5 length=50`.

    Args:
        run: what is trained, and on what; --env-kwargs feedback=reward gives bandit feedback.
        config: how to train.
        out: folder of the run, for metrics.jsonl and a last checkpoint.
    """
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.reinforce import train_from_reward

    config, console = RewardConfig(**vars(config)), Console()
    agent, venv = run.set_up(config.seed)
    with LiveReport(agent.name, config.steps, console) as live:
        progress = train_from_reward(agent, venv, config, folder=out, report=live)
    accuracy = f"{100 * progress.accuracy:.0f} %"
    show(f"{progress.step} steps; in the last one, {accuracy} of the last ten labels were right.", console)
    if progress.stopped:
        show(f"Stopped and saved in {out}. A run from rewards cannot be resumed.", console)
    show(f"Evaluate: {run.evaluate_command(out)}", console)
    if progress.stopped:
        raise SystemExit(130)
