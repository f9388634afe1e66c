"""Distributions of actions, and what these are in an environment."""

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary

from gpicl_agents.models.policy import ActionUnits, is_continuous, make_policy

CPU = torch.device("cpu")


def test_the_density_is_that_of_independent_normal_numbers():
    mean, log_std = torch.tensor([[0.5, -1.0]]), torch.tensor([0.3, -0.7])
    policy, action = make_policy(mean, log_std), torch.tensor([[1.5, 2.0]])
    expected = sum(
        -((a - m) ** 2) / (2 * math.exp(2 * s)) - s - 0.5 * math.log(2 * math.pi)
        for a, m, s in zip(action[0].tolist(), mean[0].tolist(), log_std.tolist(), strict=True)
    )
    assert policy.log_prob(action).item() == pytest.approx(expected, abs=1e-5)
    assert policy.entropy().item() == pytest.approx(0.3 - 0.7 + math.log(2 * math.pi * math.e), abs=1e-5)
    assert torch.equal(policy.mode, mean) and policy.sample().shape == (1, 2)


def test_logits_are_those_of_labels():
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    policy = make_policy(logits, None)
    assert policy.mode.tolist() == [1] and policy.log_prob(torch.tensor([2])).item() == pytest.approx(
        float(logits.log_softmax(1)[0, 2]), abs=1e-6
    )


def test_actions_are_in_units_of_the_bounds_and_clipped_at_them():
    units = ActionUnits(Box(*np.array([[[0.0, -4.0]], [[10.0, 4.0]]], np.float32), dtype=np.float32), CPU)
    given = units.to_environment(torch.tensor([[0.0, 0.5], [-1.0, 1.0], [9.0, -9.0]]))
    assert given.tolist() == [[[5.0, 2.0]], [[0.0, 4.0]], [[10.0, -4.0]]] and given.dtype == torch.float32
    assert units.to_policy(given.flatten(1)).tolist() == [[0.0, 0.5], [-1.0, 1.0], [1.0, -1.0]]


def test_without_both_bounds_an_action_is_in_its_own_units():
    space = Box(*np.array([[-np.inf, 0.0, 2.0], [np.inf, np.inf, 2.0]], np.float32), dtype=np.float32)
    units = ActionUnits(space, CPU)
    given = units.to_environment(torch.tensor([[-300.0, -3.0, 0.5]]))
    assert given.tolist() == [[-300.0, 0.0, 2.0]] and units.to_policy(given).isfinite().all()
    largest = float(np.finfo(np.float32).max)
    assert ActionUnits(Box(-largest, largest, (1,)), CPU).to_environment(torch.tensor([[0.5]])).tolist() == [[0.5]]


def test_labels_begin_where_the_space_begins():
    units = ActionUnits(Discrete(3, start=5), CPU)
    assert units.to_environment(torch.tensor([0, 2])).tolist() == [5, 7]
    assert torch.equal(units.to_policy(torch.eye(3)), torch.eye(3))


def test_spaces_of_other_kinds_are_refused():
    assert is_continuous(Box(0, 1)) and not is_continuous(Discrete(2))
    with pytest.raises(ValueError, match=r"Discrete actions or a Box of real ones, given MultiBinary\(3\)"):
        is_continuous(MultiBinary(3))
    with pytest.raises(ValueError, match="a Box of real ones, given .*int32"):
        is_continuous(Box(0, 3, (2,), np.int32))
