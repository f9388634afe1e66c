import numpy as np
import pytest
import torch

from gpicl_envs.envs.reset_arguments import parse_reset_mask, parse_seeds

MASK = [True, False, True]


@pytest.mark.parametrize("mask", [MASK, tuple(MASK), np.array(MASK), torch.tensor(MASK)], ids=repr)
def test_masks_of_any_type_are_taken(mask):
    assert parse_reset_mask({"reset_mask": mask}, 3).tolist() == MASK
    assert parse_reset_mask({}, 3).all() and parse_reset_mask(None, 3).all() and parse_reset_mask({"other": 1}, 3).all()


@pytest.mark.parametrize("mask", [[1, 0, 1], [True], [False] * 3, 5, [0.5] * 3], ids=str)
def test_other_masks_are_refused(mask):
    with pytest.raises(ValueError, match="boolean array of shape.*at least one True, given shape"):
        parse_reset_mask({"reset_mask": mask}, 3)


@pytest.mark.parametrize(
    "seed", [[4, 5, 6], (4, 5, 6), range(4, 7), np.array([4, 5, 6]), torch.tensor([4, 5, 6]), np.int64(4), 4], ids=repr
)
def test_seeds_of_any_type_are_taken(seed):
    assert parse_seeds(seed, 3) == [4, 5, 6]


def test_none_keeps_a_stream():
    assert parse_seeds(None, 2) == [None, None] and parse_seeds([None, 2**64 - 1], 2) == [None, 2**64 - 1]


@pytest.mark.parametrize(
    ("seed", "message"),
    [([1], "got 1 seeds for 2"), (2**64 - 1, "seed="), ([0, 0.5], "seed=0.5"), ([0, True], "True")],
    ids=str,
)
def test_other_seeds_are_refused(seed, message: str):
    with pytest.raises(ValueError, match=message):
        parse_seeds(seed, 2)
