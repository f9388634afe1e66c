"""Draws from posterior distributions."""

import pytest
import torch

from gpicl_envs.rl.players.posterior import draw_dirichlet, explore


def test_draws_have_the_moments_of_the_distribution():
    """Mean α/α₀, variance α (α₀ − α) / (α₀² (α₀ + 1))."""
    alpha = torch.tensor([1.0, 1.0, 4.0])
    drawn = draw_dirichlet(alpha.expand(20000, 3), torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.sum(1), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(drawn.mean(0), alpha / 6, atol=0.005)
    assert torch.allclose(drawn.var(0), alpha * (6 - alpha) / (36 * 7), atol=0.001)


def test_the_generator_decides():
    alpha = torch.ones(4, 3)
    first, same, other = (draw_dirichlet(alpha, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_exploration_replaces_a_fraction_of_actions():
    actions = torch.full((20000,), 3)
    explored = explore(actions, 4, 0.2, torch.Generator().manual_seed(0))
    assert (explored != 3).float().mean().item() == pytest.approx(0.2 * 3 / 4, abs=0.01)
    assert torch.equal(explore(actions, 4, 0.0, torch.Generator()), actions)
