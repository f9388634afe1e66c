"""Environment ids: one for each base dataset of the registry."""

import gymnasium

from gpicl_envs import datasets
from gpicl_envs.datasets import DATASETS, DatasetSpec


def register_dataset(spec: DatasetSpec) -> None:
    """Add a base dataset, and its environment `GPICL-{name}-v0`."""
    datasets.register_dataset(spec)
    register_environments()


def register_environments() -> None:
    """Register `GPICL-{dataset}-v0` for every registered dataset that has no id yet."""
    for spec in DATASETS.values():
        if spec.env_id not in gymnasium.registry:
            gymnasium.register(
                spec.env_id,
                entry_point="gpicl_envs.single_env:InContextEnv",
                vector_entry_point="gpicl_envs.vector_env:InContextVectorEnv",
                kwargs={"dataset": spec.name},
            )
