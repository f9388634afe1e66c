"""`gpicl train-sb3`: train PPO or RecurrentPPO of stable-baselines3, and keep the policy as a learner."""

import shlex
from pathlib import Path
from typing import Literal

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.learners.registry import parse_assignments
from gpicl_envs.registration import find_environment


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

    Example: `gpicl train-sb3 --algorithm RecurrentPPO --seconds 60 --out runs/rppo`, then `gpicl evaluate --learners
    sb3:runs/rppo knn`.

    Args:
        algorithm: PPO (no memory) or RecurrentPPO (an LSTM), with their authors' defaults over whole episodes.
        env: environment id.
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
        find_environment(env).id,
        folder,
        seconds=seconds,
        num_envs=num_envs,
        seed=seed,
        device=device,
        **parse_assignments(env_kwargs),
    )
    show(f"{learner.name} was trained for {seconds:g} s and saved in {folder}.")
    show(f"Evaluate: {shlex.join(['gpicl', 'evaluate', '--learners', f'sb3:{folder}', 'knn'])}")
