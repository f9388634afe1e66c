"""Projected environments, and what a policy earns in them."""

import numpy as np
import pytest
import torch

from gpicl_agents.experiments.engine.projected import (
    EPISODES,
    HORIZON,
    N_ACTIONS,
    N_FEATURES,
    PROJECTABLE,
    projected,
    summarize_policy,
)
from gpicl_agents.models.gru import GRU
from gpicl_agents.training.rl_problems import POLICY, policy_sizes
from gpicl_agents.training.roll_out import episode_returns, roll_out


def policy() -> GRU:
    return GRU(N_FEATURES + 2, N_ACTIONS, width=8, **POLICY).eval()


@pytest.mark.parametrize("env", PROJECTABLE)
def test_an_agent_of_one_environment_runs_on_every_other(env: str):
    venv = projected(env, 4, None)
    sizes = policy_sizes(venv)
    assert (sizes.n_features, sizes.n_classes) == (N_FEATURES + 2, N_ACTIONS)
    played = roll_out(policy(), venv, 3)
    assert episode_returns(played, EPISODES).shape == (4, EPISODES)
    assert (played.x[..., -1] * played.alive).sum(1).tolist() == [EPISODES] * 4  # one start for each episode


def test_returns_of_cart_pole_are_the_lengths_of_its_episodes():
    played = roll_out(policy(), projected("CartPole-v1", 6, None), 3)
    found = episode_returns(played, EPISODES)
    assert (found.sum(1) == played.alive.sum(1)).all() and found.min() >= 8 and found.max() <= HORIZON
    assert 0 < PROJECTABLE["GPICL-TabularMDP-v0"].best() < 40


def test_scores_are_fractions_of_the_best_return():
    untrained = policy()
    found = summarize_policy(untrained, "CartPole-v1", None, 50, seed=1)
    assert found.episodes == 50 and 0.2 < found.first.mean < 0.7 and len(found.accuracy.mean) == EPISODES
    assert found.first.low < found.first.mean < found.first.high
    assert found.gain.mean == pytest.approx(found.final.mean - found.first.mean, abs=1e-3)
    again = summarize_policy(untrained, "CartPole-v1", None, 50, seed=1)
    assert again == found


def test_a_finite_number_of_projections_comes_back():
    ids = projected("CartPole-v1", 40, 3).reset(seed=0)[1]["projection_id"]
    assert set(np.unique(ids)) == {0, 1, 2}
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="Unknown env 'Acrobot-v1'"):
        projected("Acrobot-v1", 2, None)
