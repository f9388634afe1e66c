"""Environments that are projected at random in each problem, and what a policy earns in them, in units of the most."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpicl_agents.evaluations import Summary
from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.roll_out import returns_of
from gpicl_envs.errors import check_choice
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.records import Band, Estimate
from gpicl_envs.rl.tabular_mdp import TabularMDP
from gpicl_envs.rl.wrapped_problems import WrappedProblems

EPISODES = 5  # of each problem
HORIZON = 50  # steps of an episode of CartPole; 10 of an MDP, as in Duan et al. 2016
N_FEATURES, N_ACTIONS = 16, 5  # of all projected problems, so that an agent of one runs on every other


def _best_mdp_return() -> float:
    made = TabularMDP(split="test")
    return float(made.best_return(made.sample(1000)).mean())


SIZES: dict[str, Any] = {"project": N_FEATURES, "n_actions": N_ACTIONS}
CART_POLES = WrappedProblems("CartPole-v1", EPISODES, env_kwargs={"max_episode_steps": HORIZON}, **SIZES)
MDPS = WrappedProblems("GPICL-TabularMDP-v0", env_kwargs={"n_episodes": EPISODES}, **SIZES)


@dataclass(frozen=True)
class Projectable:
    """An environment with endless projections, and the mean return of an episode under its best policy."""

    problems: WrappedProblems
    best: Callable[[], float]


PROJECTABLE = {
    CART_POLES.env: Projectable(CART_POLES, lambda: float(HORIZON)),
    MDPS.env: Projectable(MDPS, _best_mdp_return),
}


def projected(env: str, number: int, n_projections: int | None) -> Any:
    """Return a vector environment whose observations are projected, and whose actions are permuted, in each problem.

    Args:
        env: one of `PROJECTABLE`.
        number: of environments.
        n_projections: how many there are; None for endless ones.
    """
    made = PROJECTABLE[check_choice("env", env, tuple(PROJECTABLE))].problems
    return replace(made, n_projections=n_projections).make(number)


def summarize_policy(policy: SequenceAgent, env: str, n_projections: int | None, problems: int, seed: int) -> Summary:
    """Return what a policy earns in each episode of a problem, as a fraction of what the best policy does.

    Args:
        policy: of N_FEATURES + 2 inputs and N_ACTIONS actions, in evaluation mode.
        env: one of `PROJECTABLE`.
        n_projections: those of meta-training; None for new ones.
        problems: E.
        seed: of the problems; of the actions too.
    """
    played = replace(PROJECTABLE[env].problems, n_projections=n_projections)
    returns, told = returns_of(policy, played, problems, seed)
    scores = returns / PROJECTABLE[env].best()
    tasks = None if n_projections is None else told["projection_id"]  # problems of one projection are not independent
    first, final, gain = (
        Estimate(*(round(float(value), 4) for value in mean_interval(values, tasks)))
        for values in (scores[:, 0], scores[:, -1], scores[:, -1] - scores[:, 0])
    )
    curve = Band(*(np.asarray(values).round(4).tolist() for values in mean_interval(scores, tasks)))
    return Summary(problems, first, final, gain, curve)
