"""The only list of environment ids: one for each registered dataset and each class of functions."""

from dataclasses import dataclass
from typing import Any

import gymnasium

from gpicl_envs import datasets
from gpicl_envs.datasets import DATASETS, DatasetSpec
from gpicl_envs.errors import UnknownNameError

# The classes of functions of `functions.py`, listed here so that listing them takes no torch.
FUNCTION_CLASSES = {
    "LinearRegression": "regression: y = w · x with w ~ N(0, I)",
    "SparseLinearRegression": "regression: y = w · x, three weights not zero",
    "TwoLayerNetwork": "regression: 100 hidden rectified linear units",
    "DecisionTree": "regression: a random tree of depth 4",
}


@dataclass(frozen=True)
class Environment:
    """One registered environment.

    Args:
        id: for `gymnasium.make` and `make_vec`.
        description: one line for lists.
        arguments: what sets it apart: its dataset, or its class of functions.
    """

    id: str
    description: str
    arguments: dict[str, Any]


def environments() -> dict[str, Environment]:
    """Return every environment by its id."""
    listed = [Environment(spec.env_id, spec.description, {"dataset": spec.name}) for spec in DATASETS.values()]
    listed += [
        Environment(f"GPICL-{name}-v0", description, {"function": name})
        for name, description in FUNCTION_CLASSES.items()
    ]
    return {environment.id: environment for environment in listed}


def find_environment(env_id: str) -> Environment:
    """Return the environment of an id; an unknown id lists the valid ones."""
    if env_id not in environments():
        raise UnknownNameError("environment", env_id, environments())
    return environments()[env_id]


def register_dataset(spec: DatasetSpec) -> None:
    """Add a base dataset, and its environment `GPICL-{name}-v0`."""
    datasets.register_dataset(spec)
    register_environments()


def register_environments() -> None:
    """Register with gymnasium every environment that has no id there yet."""
    for environment in environments().values():
        if environment.id not in gymnasium.registry:
            gymnasium.register(
                environment.id,
                entry_point="gpicl_envs.single_env:InContextEnv",
                vector_entry_point="gpicl_envs.vector_env:InContextVectorEnv",
                kwargs=environment.arguments,
            )
