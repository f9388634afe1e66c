"""`gpicl train-rl`: meta-reinforcement learning, from rewards alone."""

from pathlib import Path

import gymnasium
import tyro
from rich.console import Console

from gpicl_agents.training.config import RewardConfig
from gpicl_envs.commands.arguments import Assignments
from gpicl_envs.learners.registry import parse
from gpicl_envs.registration import find_environment


def train_rl(
    config: tyro.conf.OmitArgPrefixes[RewardConfig],
    learner: str = "transformer",
    learner_kwargs: Assignments = (),
    env: str = "GPICL-MNIST-v0",
    env_kwargs: Assignments = (),
    batch_size: int = 32,
    out: Path = Path("runs/train-rl"),
    device: str = "cpu",
) -> None:
    """Meta-train a sequence model by policy gradients, from rewards alone.

    Examples: `gpicl train-rl --learner rl2-transformer --env-kwargs feedback=reward n_classes=5 length=50 --out
    runs/rl2`.

    Args:
        config: how to train.
        learner: registered name or module:Class.
        learner_kwargs: arguments of the learner, such as width=128.
        env: environment id.
        env_kwargs: arguments of the environment; feedback=reward gives bandit feedback.
        batch_size: episodes a roll-out.
        out: folder of the run: metrics.jsonl and a last checkpoint.
        device: cpu or cuda.
    """
    from gpicl_agents.training.progress import LiveReport
    from gpicl_agents.training.reinforce import train_from_reward
    from gpicl_envs.learners.registry import make_fitting, takes_seed

    console = Console()
    venv = gymnasium.make_vec(find_environment(env).id, num_envs=batch_size, device=device, **parse(env_kwargs))
    seeded = {"seed": config.seed} if takes_seed(learner) else {}
    agent = make_fitting(learner, seeded | parse(learner_kwargs), venv.unwrapped.tasks)  # type: ignore[attr-defined]
    with LiveReport(agent.name, config.steps, console) as live:
        progress = train_from_reward(agent, venv, config, folder=out, report=live)
    console.print(f"{progress.step} steps. The last roll-outs were {100 * progress.accuracy:.0f} % right at their end.")
    console.print(f"Evaluate: gpicl evaluate --learners {out} knn --env {env}", highlight=False)
    if progress.stopped:
        console.print(f"Interrupted; what was learned is saved in {out}. Such a run is not resumed.", highlight=False)
        raise SystemExit(130)
