import numpy as np
import pytest
from scipy.stats import rankdata

from gpicl_agents.estimators.preparation import LARGEST, Preparation


def table(columns: int = 6, rows: int = 80) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)) * 10.0 ** np.arange(columns) + 3


@pytest.mark.parametrize("by_rank", [False, True])
@pytest.mark.parametrize("n_features", [6, 50, 4])
def test_inputs_have_the_size_that_learners_know(by_rank: bool, n_features: int):
    """|x|² is D on average: with room for all columns, or through a projection."""
    x = table()
    made = [Preparation(n_features, by_rank, np.random.default_rng(n)).fit(x).transform(x) for n in range(40)]
    assert made[0].dtype == np.float32 and made[0].shape == (80, n_features)
    assert np.square(made).sum(2).mean() == pytest.approx(n_features, rel=0.2)


def test_columns_stand_at_places_of_their_own_with_a_sign():
    x = table()
    made = Preparation(50, False, np.random.default_rng(1)).fit(x).transform(x)
    places = np.flatnonzero(np.abs(made).max(0))
    assert len(places) == 6
    correlation = np.corrcoef(np.concatenate([x, made[:, places]], 1).T)[:6, 6:]
    assert np.allclose(np.sort(np.abs(correlation), 1)[:, -1], 1, atol=1e-5)  # each is a column, up to sign and scale
    other = Preparation(50, False, np.random.default_rng(2)).fit(x).transform(x)
    assert not np.array_equal(np.flatnonzero(np.abs(other).max(0)), places)


def test_ranks_forget_monotone_changes():
    x = table(3)
    by_rank = [Preparation(3, True, np.random.default_rng(1)).fit(given) for given in (x, np.exp(x / x.std(0)))]
    one, other = by_rank[0].transform(x), by_rank[1].transform(np.exp(x / x.std(0)))
    assert np.allclose(one, other, atol=1e-3)
    ranks = rankdata(x[:, 0])
    assert any(np.allclose(rankdata(sign * one[:, place]), ranks) for place in range(3) for sign in (1, -1))


def test_outliers_are_bounded_and_constant_columns_left_out():
    x = np.concatenate([table(2), np.full((80, 1), 4.0)], 1)
    preparation = Preparation(10, False, np.random.default_rng(1)).fit(x)
    made = preparation.transform(np.array([[1e9, -1e9, 1e9]]))
    size = np.sqrt(10 / 2)
    assert np.allclose(np.sort(np.abs(made[0]))[-2:], LARGEST * size) and np.count_nonzero(made) == 2
    alone = Preparation(10, True, np.random.default_rng(1)).fit(np.ones((5, 3)))
    assert (alone.transform(np.ones((2, 3))) == 0).all()
