"""Random maps of actions: what they reach, and how they are distributed."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from gpicl_envs.sampling.philox import Streams
from gpicl_envs.wrappers.action_maps import PermutedActions, RotatedActions, make_action_maps


def streams(n: int) -> Streams:
    return Streams(np.full(n, 3, np.uint64), np.arange(n, dtype=np.uint64), 32, torch.device("cpu"))


def test_as_many_labels_as_actions_are_a_uniform_permutation():
    maps = PermutedActions(Discrete(3), 3).draw(streams(6000))
    assert (np.sort(maps, 1) == np.arange(3)).all()
    _, counts = np.unique(maps, axis=0, return_counts=True)
    assert len(counts) == 6 and np.abs(counts - 1000).max() < 4 * np.sqrt(1000)


def test_surplus_labels_repeat_actions_evenly():
    maps = PermutedActions(Discrete(2), 5).draw(streams(4000))
    counts = (maps == 0).sum(1)
    assert counts.min() == 1 and counts.max() == 4, "each action has a label"
    # One label of five for sure, and each of three surplus ones with probability 1/2: 1 + Binomial(3, 1/2).
    assert np.bincount(counts)[1:] / 4000 == pytest.approx([1 / 8, 3 / 8, 3 / 8, 1 / 8], abs=0.03)
    assert (maps == 0).mean(0) == pytest.approx(np.full(5, 0.5), abs=0.03), "whatever the label"


def test_a_label_becomes_the_action_that_it_stands_for():
    kind = PermutedActions(Discrete(3, start=-1), 4)
    maps = np.array([[2, 0, 1, 1], [0, 0, 1, 2]])
    shown = kind.shown(np.array([0, 3]), 2)
    assert shown.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert kind.to_environment(maps, shown).tolist() == [1, 1]
    with pytest.raises(ValueError, match="Action 4 is out of range: give a number from 0 to 3"):
        kind.shown([4, 0], 2)


@pytest.mark.parametrize("n_actions", [2, 5])
def test_rotations_are_orthonormal_and_uniform(n_actions: int):
    maps = RotatedActions(Box(-1, 1, (2,)), n_actions).draw(streams(4000)) / np.sqrt(2)
    np.testing.assert_allclose(maps @ maps.transpose(0, 2, 1), np.tile(np.eye(2), (4000, 1, 1)), atol=1e-5)
    assert np.abs(maps.mean(0)).max() < 0.05, "no sign is preferred"
    assert (maps**2).mean(0) == pytest.approx(np.full((2, n_actions), 1 / n_actions), abs=0.03)


def test_every_action_of_a_box_can_be_reached():
    box = Box(np.array([[-3.0, 1.0]], np.float32), np.array([[3.0, 2.0]], np.float32))
    kind = RotatedActions(box, 3)
    maps = kind.draw(streams(4))
    corners = np.array([[-3, 1], [-3, 2], [3, 1], [3, 2]], np.float32)
    unit = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    given = np.einsum("bda,bd->ba", maps, unit) / 2  # |Pᵀ u| ≤ √d, and the map has √d too
    assert np.abs(given).max() <= 1
    reached = kind.to_environment(maps, kind.shown(given, 4))
    assert reached.shape == (4, 1, 2) and reached.dtype == np.float32
    np.testing.assert_allclose(reached[:, 0], corners, atol=1e-5)


def test_actions_beyond_either_box_are_clipped():
    kind = RotatedActions(Box(-2, 2, (2,)), 2)
    assert kind.shown([[5.0, -0.5]], 1).tolist() == [[1.0, -0.5]]
    taken = kind.to_environment(np.sqrt(2) * np.eye(2, dtype=np.float32)[None], np.array([[1.0, 0.5]], np.float32))
    assert taken.tolist()[0] == pytest.approx([2.0, np.sqrt(2)])


def test_numbers_of_actions():
    assert make_action_maps(Discrete(3), None).agent_space == Discrete(3)
    assert make_action_maps(Box(0, 5, (2,)), None).agent_space == Box(-1, 1, (2,), np.float32)
    with pytest.raises(ValueError, match="n_actions=2 is not allowed: .* at least 3 .*each must have a label"):
        make_action_maps(Discrete(3), 2)
    with pytest.raises(ValueError, match="n_actions=1 is not allowed: .*each must be reachable"):
        make_action_maps(Box(0, 5, (2,)), 1)
    with pytest.raises(TypeError, match="cannot rotate actions without finite bounds"):
        make_action_maps(Box(-np.inf, 5, (2,)), None)
    for n_actions in (None, 4):
        with pytest.raises(TypeError, match="RandomProjection needs Discrete actions or a Box"):
            make_action_maps(MultiDiscrete([2, 2]), n_actions)
