"""Kinds of problems by name."""

import pytest

from gpicl_envs.rl.kinds import PROBLEMS, make_problems


def test_a_kind_is_found_by_name():
    for name, kind in PROBLEMS.items():
        assert type(make_problems(name, n_tasks=3)) is kind and make_problems(name, n_tasks=3).n_tasks == 3


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="Unknown problem 'bandit'.*Valid: .*Bandit"):
        make_problems("bandit")


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="arms"):
        make_problems("Bandit", arms=3)
