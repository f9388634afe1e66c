import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from small_tasks import make_vec

from gpicl_envs.wrappers.base import TorchVectorWrapper, device_of, reset_mask, to_numpy


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_mode_is_that_of_the_environment(mode: AutoresetMode):
    assert TorchVectorWrapper(TorchVectorWrapper(make_vec(autoreset_mode=mode))).autoreset_mode is mode


def test_environments_of_arrays_are_refused():
    arrays = gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, vectorization_mode="sync")
    with pytest.raises(TypeError, match="takes a vector environment of tensors"):
        TorchVectorWrapper(arrays)


def test_every_tensor_of_a_nest_becomes_an_array():
    nest = ({"a": torch.ones(2)}, (torch.zeros(1, dtype=torch.bool),), "text", 3)
    arrays = to_numpy(nest)
    assert isinstance(arrays[0]["a"], np.ndarray) and arrays[1][0].dtype == bool and arrays[2:] == ("text", 3)


def test_masks_and_devices():
    assert reset_mask(None, 2).tolist() == [True, True]
    assert reset_mask({"reset_mask": np.array([False, True])}, 2).tolist() == [False, True]
    assert device_of(torch.ones(1)) == device_of({"x": torch.ones(1)}) == torch.device("cpu")
