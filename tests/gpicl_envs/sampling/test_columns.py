import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from gpicl_envs.sampling.columns import LEVELS, mixed, normal_scores, transformed
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.teachers import Draws

B, N, F = 300, 80, 6


def draws() -> Draws:
    numbers = np.arange(B, dtype=np.uint64)
    return Draws(Streams(numbers, numbers, 1, torch.device("cpu")), 7)


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(B, N, F, generator=torch.Generator().manual_seed(0))


def test_normal_scores_are_the_quantiles_of_ranks(rows: torch.Tensor):
    """scipy's, with the mean rank for equal values."""
    coarse = (2 * rows[:3]).round()
    expected = norm.ppf((rankdata(coarse.numpy(), axis=1) - 0.5) / N)
    assert np.allclose(normal_scores(coarse).numpy(), expected, atol=1e-4)


def test_normal_scores_keep_order_and_forget_scale(rows: torch.Tensor):
    assert torch.equal(normal_scores(rows[:2]), normal_scores(rows[:2].exp() * 9 + 1))


def test_half_of_the_tables_mix_their_columns_linearly_half_of_the_rest_are_curved(rows: torch.Tensor):
    """A quarter is left as it was; columns that a table does not have stay zero."""
    has = (torch.arange(F) < 4).expand(B, 1, F)
    made = mixed(draws(), rows * has, has, torch.full((B,), 4))
    assert (made[:, :, 4:] == 0).all()
    as_they_were = (made == rows * has).all(2).all(1).float().mean().item()
    assert as_they_were == pytest.approx(0.25, abs=0.1)
    inputs = rows[..., :4]
    residual = (made[..., :4] - inputs @ torch.linalg.lstsq(inputs, made[..., :4]).solution).square().mean((1, 2))
    assert (residual < 1e-8).float().mean().item() == pytest.approx(0.5, abs=0.12)  # no tanh


def test_transformed_columns_are_those_of_a_table_with_categories(rows: torch.Tensor):
    made = transformed(draws(), rows)
    assert torch.allclose(made.mean(1), torch.zeros(B, F), atol=1e-4)
    levels = torch.tensor([[len(made[b, :, f].unique()) for f in range(F)] for b in range(B)])
    # A column changes in a round with probability 2/3 · 0.4, and then becomes binary in one of five cases.
    assert (levels == 2).float().mean().item() == pytest.approx(2 * 2 / 3 * 0.4 / 5, abs=0.05)
    continuous = (levels == N).float().mean().item()
    assert (1 - 0.8 / 3) ** 2 < continuous < 0.95
    assert ((levels > 2) & (levels <= LEVELS)).any()
