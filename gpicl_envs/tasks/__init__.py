"""Distributions of learning problems: classification of base datasets or tables, regression, mixtures."""

from collections.abc import Sequence
from typing import Any

from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.kinds import DEFAULT_DATASET, SIMPLE_KINDS, Kinds, make_kind
from gpicl_envs.tasks.mixture import TaskMixture

KINDS: Kinds = {**SIMPLE_KINDS, "mixture": TaskMixture}


def make_tasks(also: Sequence[str] = (), /, *, dataset: Any = DEFAULT_DATASET, **arguments: Any) -> EpisodeDistribution:
    """Return the distribution of tasks that an environment's arguments describe.

    Args:
        also: other valid arguments, which the caller has taken, for the error of an unknown one.
        dataset: makes a `TaskDistribution`, unless one of the arguments names another kind: `function` makes a
            `FunctionDistribution`, `prior` a `TableDistribution`, `table` a `RealTableDistribution`, `mixture` a
            `TaskMixture`.
        **arguments: of that distribution.
    """
    return make_kind(KINDS, {"dataset": dataset} | arguments, also)
