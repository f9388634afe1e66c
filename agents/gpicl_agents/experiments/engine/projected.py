"""Environments that are projected at random in each problem, and what a policy earns in them, in units of the most."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_agents.evaluations import Summary
from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.training.random_state import seeded
from gpicl_agents.training.roll_out import RollOut, roll_out
from gpicl_envs.errors import check_choice
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.records import Band, Estimate
from gpicl_envs.rl.tabular_mdp import TabularMDP
from gpicl_envs.wrappers import VectorRandomProjection, VectorTrials
from gpicl_envs.wrappers.vector import TorchToNumpy

EPISODES = 5  # of each problem
HORIZON = 50  # steps of an episode of CartPole; 10 of an MDP, as in Duan et al. 2016
N_FEATURES, N_ACTIONS = 16, 5  # of all projected problems, so that an agent of one runs on every other


def _cart_poles(number: int) -> Any:
    made = gymnasium.make_vec(
        "CartPole-v1", num_envs=number, max_episode_steps=HORIZON, vectorization_mode="vector_entry_point"
    )
    return VectorTrials(made, episodes=EPISODES)


def _mdps(number: int) -> Any:
    return TorchToNumpy(gymnasium.make_vec("GPICL-TabularMDP-v0", num_envs=number, n_episodes=EPISODES))


def _best_mdp_return() -> float:
    made = TabularMDP(split="test")
    return float(made.best_return(made.sample(1000)).mean())


@dataclass(frozen=True)
class Projectable:
    """An environment, and the mean return of an episode under its best policy."""

    make: Callable[[int], Any]
    best: Callable[[], float]


PROJECTABLE = {
    "CartPole-v1": Projectable(_cart_poles, lambda: float(HORIZON)),
    "GPICL-TabularMDP-v0": Projectable(_mdps, _best_mdp_return),
}


def projected(env: str, number: int, n_projections: int | None, projection_seed: int = 0) -> Any:
    """Return a vector environment whose observations are projected, and whose actions are permuted, in each problem.

    Args:
        env: one of `PROJECTABLE`.
        number: of environments.
        n_projections: how many there are; None for endless ones.
        projection_seed: of a finite number of them.
    """
    made = PROJECTABLE[check_choice("env", env, tuple(PROJECTABLE))].make(number)
    return VectorRandomProjection(
        made, N_FEATURES, N_ACTIONS, n_projections=n_projections, projection_seed=projection_seed
    )


def episode_returns(played: RollOut) -> NDArray[np.float64]:
    """(B, K) the return of each episode of each problem, from the starts that the policy saw."""
    number = ((played.x[..., -1] * played.alive).cumsum(1) - 1).long()  # problems that ended first begin another
    found = torch.zeros(len(number), EPISODES, dtype=torch.float64)
    return found.scatter_add_(1, number.cpu(), (played.rewards * played.alive).double().cpu()).numpy()


def summarize_policy(policy: SequenceAgent, env: str, n_projections: int | None, problems: int, seed: int) -> Summary:
    """Return what a policy earns in each episode of a problem, as a fraction of what the best policy does.

    Args:
        policy: of N_FEATURES + 2 inputs and N_ACTIONS actions, in evaluation mode.
        env: one of `PROJECTABLE`.
        n_projections: those of meta-training; None for new ones.
        problems: E.
        seed: of the problems; of the actions too.
    """
    with seeded(seed):
        played = roll_out(policy, projected(env, problems, n_projections), seed)
    scores = episode_returns(played) / PROJECTABLE[env].best()
    one_off = np.full(problems, -1)
    first, final, gain = (
        Estimate(*(round(float(value), 4) for value in mean_interval(values, one_off)))
        for values in (scores[:, 0], scores[:, -1], scores[:, -1] - scores[:, 0])
    )
    curve = Band(*(np.asarray(values).round(4).tolist() for values in mean_interval(scores, one_off)))
    return Summary(problems, first, final, gain, curve)
