"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

from math import isnan
from pathlib import Path

import tyro
from rich.console import Console

from gpicl_agents.commands.run_options import RunOptions, show_where_stopped
from gpicl_agents.training.config import RewardConfig
from gpicl_envs.commands.arguments import show, unchecked

RUN = RunOptions("transformer", batch_size=32)
CONFIG = unchecked(RewardConfig())


def train_rl(
    run: tyro.conf.OmitArgPrefixes[RunOptions] = RUN,
    config: tyro.conf.OmitArgPrefixes[RewardConfig] = CONFIG,
    out: Path = Path("runs/train-rl"),
    resume: bool = False,
) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone.

    Example: `gpicl train-rl --learner rl2-transformer --env-kwargs feedback=reward n_classes=5 length=50`.

    Args:
        run: what is trained, and on what; --env-kwargs feedback=reward gives bandit feedback.
        config: how to train.
        out: folder of the run, for metrics.jsonl and checkpoints.
        resume: continue from the newest checkpoint in the folder.
    """
    from gpicl_agents.training.live_report import LiveReport
    from gpicl_agents.training.reinforce import train_from_reward

    config, console = RewardConfig(**vars(config)), Console()
    agent, venv = run.set_up(config.seed)
    try:
        with LiveReport(agent.name, config.steps, console) as live:
            progress = train_from_reward(agent, venv, config, folder=out, resume=resume, report=live)
    except KeyboardInterrupt:
        show_where_stopped(out, console)
        raise
    right = f"; in the last one, {100 * progress.accuracy:.0f} % of the last ten labels were right"
    show(f"{progress.step} steps{'' if isnan(progress.accuracy) else right}.", console)
    show(f"Evaluate: {run.evaluate_command(out)}", console)
