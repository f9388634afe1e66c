"""The finite-horizon Gittins index: known answers."""

from functools import cache

import pytest
import torch

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.base import CannotPlayError
from gpicl_envs.rl.players.gittins import gittins_table
from gpicl_envs.rl.players.registry import make_player


def index_by_bisection(wins: int, losses: int, left: int) -> float:
    """The calibration problem, solved for one state by plain recursion."""

    def worth(price: float) -> float:
        @cache
        def value(a: int, b: int, r: int) -> float:
            mean = (a + 1) / (a + b + 2)
            if r == 0:
                return 0.0
            return max(0.0, mean - price + mean * value(a + 1, b, r - 1) + (1 - mean) * value(a, b + 1, r - 1))

        return value(wins, losses, left)

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(middle) > 0 else (low, middle)
    return low


def look_up(wins: int, losses: int, left: int, length: int) -> float:
    return gittins_table(length).index(*(torch.tensor([[value]]) for value in (wins, losses, left))).item()


@pytest.mark.parametrize(
    ("wins", "losses", "left"), [(0, 0, 30), (0, 0, 1), (3, 1, 12), (0, 5, 25), (9, 2, 4), (1, 0, 29)]
)
def test_the_index_solves_the_calibration_problem(wins: int, losses: int, left: int):
    assert look_up(wins, losses, left, 30) == pytest.approx(index_by_bisection(wins, losses, left), abs=0.003)


def test_the_last_pull_is_worth_the_posterior_mean():
    for wins, losses in ((0, 0), (4, 1), (2, 7), (9, 0)):
        assert look_up(wins, losses, 1, 10) == pytest.approx((wins + 1) / (wins + losses + 2), abs=1e-5)


def test_two_pulls_of_a_new_arm():
    """By hand: 1/2 − λ + 1/2 (2/3 − λ) = 0 at λ = 5/9."""
    assert look_up(0, 0, 2, 10) == pytest.approx(5 / 9, abs=1e-4)


def test_more_time_and_fewer_pulls_make_an_arm_worth_more():
    assert look_up(0, 0, 5, 50) < look_up(0, 0, 20, 50) < look_up(0, 0, 50, 50)
    assert look_up(2, 2, 40, 50) > look_up(5, 5, 40, 50) > 0.5


def test_too_many_pulls_are_refused():
    with pytest.raises(ValueError, match="201 pulls would take too long: give length=200"):
        gittins_table(201)


def test_more_pulls_than_a_table_is_computed_for_are_refused_before_the_first():
    with pytest.raises(CannotPlayError, match="gittins plays 200 pulls at most, not 500: choose another player"):
        make_player("gittins", Bandit(length=500, split="test"))
