"""The format that in-context RL problems share."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

import gpicl_envs  # noqa: F401 (registers the ids)
from gpicl_envs.wrappers.problem_format import KEYS, action_rows, action_size, problem_space


def test_it_is_the_format_of_the_packages_own_problems():
    bandit = gymnasium.make("GPICL-Bandit-v0", n_arms=4)
    assert problem_space(1, 4, Discrete(4)) == bandit.observation_space
    assert set(KEYS) == set(bandit.observation_space.spaces)  # type: ignore[attr-defined]


def test_discrete_actions_are_shown_one_hot_and_others_as_they_are():
    space = Discrete(3, start=-1)
    assert action_rows(space, torch.tensor([-1, 1]), 2).tolist() == [[1, 0, 0], [0, 0, 1]]
    box = Box(-1, 1, (2, 2))
    assert action_size("Trials", box) == 4 and action_size("Trials", space) == 3
    assert action_rows(box, np.arange(4).reshape(1, 2, 2), 1).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([3, 0], "Action 3 is out of range: give a number from 0 to 2"),
        ([0, -1], "Action -1 is out of range"),
        ([0.5, 1.0], "whole numbers from 0 to 2, given float64"),
        ([0], r"shape \(2,\), given \(1,\)"),
        (["a", "b"], r"numbers of shape \(2,\)"),
    ],
)
def test_other_actions_are_refused(given: list, message: str):
    with pytest.raises(ValueError, match=message):
        action_rows(Discrete(3), given, 2)


@pytest.mark.parametrize("space", [MultiDiscrete([2, 2]), MultiBinary(2), Box(0, 9, (2,), np.int64)], ids=str)
def test_other_kinds_of_actions_are_refused(space: gymnasium.Space):
    with pytest.raises(TypeError, match="Trials needs Discrete actions or a Box of real ones, given"):
        action_size("Trials", space)
