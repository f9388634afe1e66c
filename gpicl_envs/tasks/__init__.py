"""Distributions of learning problems: classification over base datasets, regression over classes of functions."""

from typing import Any

from gpicl_envs.errors import construct
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


def make_tasks(*, dataset: Any = None, function: str | None = None, **arguments: Any) -> EpisodeDistribution:
    """Return the distribution of tasks that an environment's arguments describe."""
    if function is None:
        return construct(TaskDistribution, {"dataset": "MNIST" if dataset is None else dataset} | arguments)
    if dataset is not None:
        raise ValueError(
            f"dataset={dataset!r} and function={function!r} name two kinds of tasks: make an environment of one of "
            "them, by its id."
        )
    return construct(FunctionDistribution, {"function": function} | arguments)
