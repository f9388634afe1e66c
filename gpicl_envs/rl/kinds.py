"""The kinds of in-context RL problems, by the name that an environment's arguments give."""

from typing import Any

from gpicl_envs.errors import check_choice, construct
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.dark_room import DarkRoom
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.rl.tabular_mdp import TabularMDP

PROBLEMS: dict[str, type[ProblemDistribution]] = {kind.name: kind for kind in (Bandit, TabularMDP, DarkRoom)}


def make_problems(problem: str, **arguments: Any) -> ProblemDistribution:
    """Return the distribution of a kind of problem.

    Args:
        problem: its name, such as `"Bandit"`.
        **arguments: of that kind's constructor.

    Raises:
        ValueError: the name or an argument is unknown or not allowed.
    """
    return construct(PROBLEMS[check_choice("problem", problem, tuple(PROBLEMS))], arguments)
