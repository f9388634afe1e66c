"""`gpicl train-sb3`: train PPO or RecurrentPPO of stable-baselines3, and keep the policy as a learner."""

import shlex
from pathlib import Path
from typing import Literal

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.learners.registry import parse_assignments
from gpicl_envs.registration import find_environment, rl_environments


def train_sb3(
    algorithm: Literal["PPO", "RecurrentPPO"] = "RecurrentPPO",
    env: str = "GPICL-MNIST-v0",
    env_kwargs: Assignments = (),
    seconds: float = 120.0,
    num_envs: int = 16,
    out: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Train PPO or RecurrentPPO with stable-baselines3, and keep its policy as a learner. Needs the extra `rl`.

    Examples: `gpicl train-sb3 --algorithm RecurrentPPO --seconds 60 --out runs/rppo`, then `gpicl evaluate --learners
    sb3:runs/rppo knn`; `gpicl train-sb3 --env GPICL-Bandit-v0 --out runs/rppo`, then `gpicl evaluate-rl --players
    sb3:runs/rppo thompson-sampling`.

    Args:
        algorithm: PPO (no memory) or RecurrentPPO (an LSTM), with their authors' defaults over whole episodes.
        env: environment id, of classification or in-context RL.
        env_kwargs: arguments of the environment, such as n_classes=5 length=50.
        seconds: of training.
        num_envs: number of parallel environments.
        out: folder of the policy; runs/sb3-ALGORITHM by default.
        seed: of weights, actions and episodes.
        device: cpu or cuda.
    """
    from gpicl_baselines.adapters.sb3_policy import train_policy

    folder = out or Path("runs") / f"sb3-{algorithm}"
    learner = train_policy(
        algorithm,
        env if env in rl_environments() else find_environment(env).id,
        folder,
        seconds=seconds,
        num_envs=num_envs,
        seed=seed,
        device=device,
        **parse_assignments(env_kwargs),
    )
    show(f"{learner.name} was trained for {seconds:g} s and saved in {folder}.")
    words = ["gpicl", "evaluate", "--learners", f"sb3:{folder}", "knn"]
    if env in rl_environments():
        shown = ["--env-kwargs", *env_kwargs] if env_kwargs else []
        words = ["gpicl", "evaluate-rl", "--env", env, *shown, "--players", f"sb3:{folder}", "uniform"]
    show(f"Evaluate: {shlex.join(words)}")
