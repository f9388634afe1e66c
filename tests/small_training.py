"""A training of seconds, which tests of the trainers share."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import torch

import gpicl_envs  # noqa: F401
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.config import TrainConfig

QUICK = TrainConfig(
    steps=12, learning_rate=6e-3, warmup_steps=3, evaluate_every=4, evaluate_episodes=8, checkpoint_every=5
)


def small_env(batch: int = 4, **arguments: Any) -> Any:
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=batch, **({"n_features": 32, "length": 10} | arguments))


def small_learner(**arguments: Any) -> Transformer:
    return Transformer(32, 10, **({"width": 16, "n_heads": 1, "input_rank": 8, "similarity_bias": 8.0} | arguments))


def weights(learner: torch.nn.Module) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(learner.parameters())


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
