"""The kinds of distributions, and which of them an environment's arguments describe."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from gpicl_envs.errors import UnexpectedArgumentError, construct
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.real_tables import RealTableDistribution
from gpicl_envs.tasks.regression import FunctionDistribution
from gpicl_envs.tasks.tables import TableDistribution

Kinds = Mapping[str, type[EpisodeDistribution]]


class _Default(str):
    """A default value, which can be told from the same text given by the user."""


DEFAULT_DATASET = _Default("MNIST")
SIMPLE_KINDS: Kinds = {  # all but mixtures of them: the argument that each is named by
    "dataset": TaskDistribution,
    "function": FunctionDistribution,
    "prior": TableDistribution,
    "table": RealTableDistribution,
}


def make_kind(kinds: Kinds, arguments: Mapping[str, Any], also: Sequence[str] = ()) -> EpisodeDistribution:
    """Return the distribution of the kind that one of the arguments names, of `DEFAULT_DATASET` if none does.

    Args:
        kinds: the kinds to choose from.
        arguments: those of the distribution. One that names a kind may be None instead, but for `dataset`.
        also: other valid arguments, which the caller has taken, for the error of an unknown one.

    Raises:
        ValueError: two arguments name kinds, or the distribution does not take one of the others.
    """
    dataset = arguments.get("dataset", DEFAULT_DATASET)
    named = {name: arguments[name] for name in kinds if name != "dataset" and arguments.get(name) is not None}
    if dataset is not DEFAULT_DATASET or not named:
        named = {"dataset": dataset} | named
    if len(named) > 1:
        given = " and ".join(f"{name}={value!r}" for name, value in named.items())
        raise ValueError(f"{given} name {len(named)} kinds of tasks: make an environment of one of them, by its id.")
    kind = kinds[next(iter(named))]
    others = {name: value for name, value in arguments.items() if name not in kinds}
    for unexpected in others.keys() - signature(kind).parameters.keys():
        if owners := " and ".join(each.__name__ for each in kinds.values() if unexpected in signature(each).parameters):
            raise UnexpectedArgumentError(
                f"{kind.__name__} got an unexpected keyword argument {unexpected!r}: it is one of {owners} alone. "
                "Leave it out."
            )
    return construct(kind, named | others, also=also)
