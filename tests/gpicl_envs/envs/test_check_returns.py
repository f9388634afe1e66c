import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete, Tuple
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from small_tasks import make_vec

from gpicl_envs.envs.check_returns import VectorEnvCheckError, check_reset_return, leaves, mapped, to_array


class Pairs(VectorEnv):
    """Observations of two kinds in a tuple."""

    num_envs = 2
    observation_space = batch_space(Tuple([Discrete(3), gymnasium.spaces.Box(0.0, 1.0, (2,))]), 2)


GOOD = (np.array([0, 2]), np.zeros((2, 2), np.float32))


def test_leaves_have_names_and_copies():
    nest = {"a": torch.ones(2), "b": (np.zeros(1), 3)}
    assert [name for name, _ in leaves(nest, "info")] == ["info['a']", "info['b'][0]", "info['b'][1]"]
    copies = mapped(nest, to_array)
    nest["a"].zero_()
    assert copies["a"].tolist() == [1, 1] and copies["b"][1] == 3


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (GOOD[:1], "observation is 1 values, its space a tuple of 2"),
        ((np.array([0, 3]), GOOD[1]), r"observation\[0\] lies outside its space MultiDiscrete\(\[3 3\]\)"),
        ((GOOD[0], np.zeros((2, 3), np.float32)), r"observation\[1\] has shape \(2, 3\), its space \(2, 2\)"),
        ((GOOD[0], torch.zeros(2, 2)), r"observation\[1\] is of torch on cpu, but observation\[0\] of numpy on cpu"),
    ],
    ids=["too few", "outside", "shape", "library"],
)
def test_a_part_of_a_tuple_is_named(observation, message: str):
    check_reset_return("reset()", Pairs(), (GOOD, {}))
    with pytest.raises(VectorEnvCheckError, match=message):
        check_reset_return("reset()", Pairs(), (observation, {}))


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ([], "info is list, not a dict"),
        ({"_a": np.ones(2, bool)}, "has the mask '_a', but not 'a' itself"),
        ({"a": np.zeros(3), "_a": np.ones(2, bool)}, r"info\['a'\] has 3 rows, expected 2"),
        ({"a": 3, "_a": np.ones(2, bool)}, r"info\['a'\] has no rows, expected 2"),
        ({"a": np.zeros(2), "_a": np.ones(3, bool)}, r"info\['_a'\] has dtype bool, shape \(3,\)"),
        ({"a": {"b": np.zeros(3)}, "_a": np.ones(2, bool)}, r"info\['a'\]\['b'\] has 3 rows, expected 2"),
        ({"a": {"b": GOOD[0], "_b": 0}, "_a": np.ones(2, bool)}, r"info\['a'\]\['_b'\] has dtype int64, shape \(\)"),
    ],
    ids=str,
)
def test_infos_need_masks_and_rows(info, message: str):
    with pytest.raises(VectorEnvCheckError, match=message):
        check_reset_return("reset()", Pairs(), (GOOD, info))


def test_a_list_is_no_tuple():
    env = make_vec(num_envs=2)
    observation, info = env.reset(seed=0)
    check_reset_return("reset(seed=0)", env, (observation, info))
    with pytest.raises(VectorEnvCheckError, match="reset.. returned list, not the tuple"):
        check_reset_return("reset()", env, [observation, info])
