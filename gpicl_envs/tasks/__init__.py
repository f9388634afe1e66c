"""Distributions of learning problems: classification over base datasets, regression over classes of functions."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from gpicl_envs.errors import UnexpectedArgumentError, construct
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


class _Default(str):
    """A default value, which can be told from the same text given by the user."""


DEFAULT_DATASET = _Default("MNIST")


def make_tasks(
    also: Sequence[str] = (), /, *, dataset: Any = DEFAULT_DATASET, function: str | None = None, **arguments: Any
) -> EpisodeDistribution:
    """Return the distribution of tasks that an environment's arguments describe.

    Args:
        also: other valid arguments, which the caller has taken, for the error of an unknown one.
        dataset: makes a `TaskDistribution`.
        function: makes a `FunctionDistribution`, instead.
        **arguments: of that distribution.
    """
    made, other = (TaskDistribution, FunctionDistribution)[:: 1 if function is None else -1]
    for name in arguments.keys() - signature(made).parameters.keys() & signature(other).parameters.keys():
        raise UnexpectedArgumentError(
            f"{made.__name__} got an unexpected keyword argument {name!r}: it is one of "
            f"{'regression' if function is None else 'classification'} environments alone. Leave it out."
        )
    if function is None:
        return construct(TaskDistribution, {"dataset": dataset} | arguments, also=also)
    if dataset is not DEFAULT_DATASET:
        raise ValueError(
            f"dataset={dataset!r} and function={function!r} name two kinds of tasks: make an environment of one of "
            "them, by its id."
        )
    return construct(FunctionDistribution, {"function": function} | arguments, also=also)
