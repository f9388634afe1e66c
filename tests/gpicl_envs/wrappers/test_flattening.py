"""Batches of observations as rows of numbers, beside gymnasium's `flatten` of each."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Sequence, Space, Text, Tuple
from gymnasium.spaces.utils import flatdim, flatten
from gymnasium.vector.utils import batch_space, iterate

from gpicl_envs.wrappers.flattening import check_flat, flatten_rows, put_row

SPACES = [
    Box(-2.0, 3.0, (2, 3), np.float64),
    Box(0, 255, (4,), np.uint8),
    Discrete(4, start=-2),
    MultiBinary((2, 2)),
    MultiDiscrete([2, 4], start=[1, -3]),
    MultiDiscrete([[2, 3], [1, 4]]),
    Tuple([Discrete(2), Tuple([Box(-1, 1, ()), MultiBinary(3)])]),
    Dict({"b": Discrete(3), "a": Dict({"c": Box(0, 1, (2,))})}),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_rows_are_what_gymnasium_flattens(space: Space):
    batched = batch_space(space, 5)
    batched.seed(0)
    batch = batched.sample()
    rows = flatten_rows(space, batch)
    expected = [flatten(space, one) for one in iterate(batched, batch)]
    assert rows.dtype == np.float32 and rows.shape == (5, flatdim(space)) == (5, check_flat("Trials", space))
    np.testing.assert_allclose(rows, np.array(expected, np.float32))


def test_rows_are_copies():
    batch = np.zeros((2, 3), np.float32)
    flatten_rows(Box(-1, 1, (3,)), batch)[:] = 1
    assert not batch.any()


@pytest.mark.parametrize(
    "space",
    [
        Text(3),
        Graph(Box(0, 1, (2,)), None),
        Sequence(Discrete(2)),
        OneOf([Discrete(2), Discrete(3)]),
        Dict({"a": Discrete(2), "b": Tuple([Text(3)])}),
    ],
    ids=lambda space: type(space).__name__,
)
def test_what_has_no_fixed_number_of_numbers_is_refused(space: Space):
    with pytest.raises(
        TypeError, match="Trials cannot make numbers of observations in .*: the observations may be Box"
    ):
        check_flat("Trials", space)


def test_one_observation_is_written_into_a_batch():
    space = Dict({"a": Discrete(3), "b": Tuple([Box(0, 1, (2,))])})
    batched = batch_space(space, 3)
    batched.seed(1)
    batch, other = batched.sample(), {"a": np.int64(2), "b": (np.array([0.25, 0.5], np.float32),)}
    before = flatten_rows(space, batch)
    put_row(batch, 1, other)
    after = flatten_rows(space, batch)
    assert after[1].tolist() == [0, 0, 1, 0.25, 0.5]
    assert (after[[0, 2]] == before[[0, 2]]).all()
