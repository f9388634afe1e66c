"""Arrays that become a dataset, and those that are refused."""

import gymnasium
import numpy as np
import pytest
import torch
from small_data import small_classes

import gpicl_envs
from gpicl_envs.datasets import DATASETS, load_dataset

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_arrays_too(dtype: torch.dtype):
    x = torch.arange(80).reshape(40, 2).to(dtype)
    if dtype.is_floating_point:
        x.requires_grad_()
    gpicl_envs.register_dataset("mine", x, torch.arange(40) % 4)
    assert np.array_equal(load_dataset("mine").x["train"], x.detach().float().numpy())


X, Y = small_classes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X, Y[:-1]), "mine has 40 inputs in x_train, but 39 labels in y_train"),
        ((X[:, 0], Y), r"x_train of mine has shape \(40,\): give \(M, ...\)"),
        ((X[:0], Y[:0]), r"has shape \(0, 6\)"),
        ((X.astype(np.int32), Y), "has dtype int32: give uint8 or floating-point"),
        ((X.astype(complex), Y), "has dtype complex128"),
        ((np.where(X > 2, np.inf, X), Y), "inputs with values that are not finite in float32"),
        ((X * 1e300, Y), "not finite in float32"),
        ((X, Y + 1), "run from 1 to 4 with 4 different values"),
        ((X, Y - 1), "run from -1 to 2"),
        ((X, Y * 10**12), "run from 0 to 3000000000000 with 4 different"),
        ((X, np.where(Y == 2, 3, Y)), "run from 0 to 3 with 3 different values"),
        ((X, Y == 1), "has dtype bool and shape"),
        ((X, Y.astype(float)), "has dtype float64 and shape"),
        ((X, np.eye(4)[Y].astype(int)), r"has dtype int64 and shape \(40, 4\)"),
        ((X, Y, X), "only one of x_test and y_test"),
        ((X, Y, X[:, :5], Y), r"different shapes: \(6,\) in x_train and \(5,\) in x_test"),
        ((X, Y, X, Y + 4 * (Y == 3)), "run from 0 to 7 with 5 different"),
        ((X,), "only one of x_train and y_train"),
        ((), "has no x_train and y_train, nor x_test and y_test, but no arrays: give"),
        (("text", Y), "x_train of mine has dtype <U4"),
    ],
)
def test_bad_arrays_are_refused_with_what_was_given(given: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        gpicl_envs.register_dataset("mine", *given)
    assert "mine" not in DATASETS and "GPICL-mine-v0" not in gymnasium.registry
