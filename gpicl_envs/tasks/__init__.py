"""Distributions of learning problems: classification over base datasets or synthetic tables, regression, mixtures."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from gpicl_envs.errors import UnexpectedArgumentError, construct
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.mixture import TaskMixture
from gpicl_envs.tasks.regression import FunctionDistribution
from gpicl_envs.tasks.tables import TableDistribution


class _Default(str):
    """A default value, which can be told from the same text given by the user."""


DEFAULT_DATASET = _Default("MNIST")
OTHER_KINDS: dict[str, type[EpisodeDistribution]] = {  # argument → what it makes in place of a TaskDistribution
    "function": FunctionDistribution,
    "prior": TableDistribution,
    "mixture": TaskMixture,
}
KINDS: dict[str, type[EpisodeDistribution]] = {"dataset": TaskDistribution} | OTHER_KINDS


def make_tasks(also: Sequence[str] = (), /, *, dataset: Any = DEFAULT_DATASET, **arguments: Any) -> EpisodeDistribution:
    """Return the distribution of tasks that an environment's arguments describe.

    Args:
        also: other valid arguments, which the caller has taken, for the error of an unknown one.
        dataset: makes a `TaskDistribution`, unless one of the arguments names another kind: `function` makes a
            `FunctionDistribution`, `prior` a `TableDistribution`, `mixture` a `TaskMixture`.
        **arguments: of that distribution.
    """
    named = {name: arguments.pop(name) for name in OTHER_KINDS if arguments.get(name) is not None}
    arguments = {name: value for name, value in arguments.items() if name not in OTHER_KINDS}
    if dataset is not DEFAULT_DATASET or not named:
        named = {"dataset": dataset} | named
    if len(named) > 1:
        given = " and ".join(f"{name}={value!r}" for name, value in named.items())
        raise ValueError(f"{given} name {len(named)} kinds of tasks: make an environment of one of them, by its id.")
    ((name, value),) = named.items()
    kind = KINDS[name]
    for unexpected in arguments.keys() - signature(kind).parameters.keys():
        if others := " and ".join(each.__name__ for each in KINDS.values() if unexpected in signature(each).parameters):
            raise UnexpectedArgumentError(
                f"{kind.__name__} got an unexpected keyword argument {unexpected!r}: it is one of {others} alone. "
                "Leave it out."
            )
    return construct(kind, {name: value} | arguments, also=also)
