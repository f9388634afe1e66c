"""Datasets from arrays that the user hands over."""

import copy

import gymnasium
import numpy as np
import pytest
import torch

import gpicl_envs
from gpicl_envs.datasets import DATASETS, load_dataset
from gpicl_envs.errors import MissingDataError


@pytest.fixture
def clean_registry():
    """Whatever a test registers is gone afterwards."""
    names, ids = set(DATASETS), set(gymnasium.registry)
    yield
    for name in set(DATASETS) - names:
        del DATASETS[name]
    for env_id in set(gymnasium.registry) - ids:
        del gymnasium.registry[env_id]


def arrays(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(count, 6)), np.arange(count) % 4


pytestmark = pytest.mark.usefixtures("clean_registry")


def test_registered_arrays_are_an_environment():
    x, y = arrays()
    gpicl_envs.register_dataset("mine", x, y, x[:8] + 1, y[:8])
    small = {"n_classes": 4, "length": 8}
    by_keyword = gymnasium.make("GPICL-Array-v0", dataset="mine", **small)
    by_id = gymnasium.make("GPICL-mine-v0", **small)
    a, b = by_keyword.reset(seed=3)[0], by_id.reset(seed=3)[0]
    assert np.array_equal(a["x"], b["x"]) and a["x"].shape == (784,)
    dataset = load_dataset("MINE")
    assert dataset.shape == (6,) and dataset.n_classes == 4 and set(dataset.x) == {"train", "test"}
    assert np.array_equal(dataset.x["train"], x.astype(np.float32))
    assert DATASETS["mine"].n_train == 40 and DATASETS["mine"].location().kind == "memory"


def test_a_dataset_object_is_an_environment_and_is_not_copied():
    x, y = arrays()
    gpicl_envs.register_dataset("mine", x, y)
    dataset = load_dataset("mine")
    env = gymnasium.make("GPICL-Array-v0", dataset=dataset, n_classes=4, length=8)
    assert env.unwrapped.tasks.dataset is dataset and copy.deepcopy(dataset) is dataset


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64, ">f8"])
def test_later_changes_of_the_users_array_do_not_reach_the_dataset(dtype):
    x = np.random.default_rng(0).integers(9, size=(40, 2, 3)).astype(dtype)
    y = np.arange(40) % 4
    before = x.astype(np.float32)
    gpicl_envs.register_dataset("mine", x, y)
    x[:], y[:] = 0, 0
    dataset = load_dataset("mine")
    assert np.array_equal(dataset.x["train"], before) and dataset.y["train"].max() == 3
    assert dataset.x["train"].dtype == (np.uint8 if dtype == np.uint8 else np.float32)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_are_arrays_too(dtype: torch.dtype):
    x = torch.arange(80).reshape(40, 2).to(dtype)
    if dtype.is_floating_point:
        x.requires_grad_()
    gpicl_envs.register_dataset("mine", x, torch.arange(40) % 4)
    assert np.array_equal(load_dataset("mine").x["train"], x.detach().float().numpy())


def test_a_name_that_is_no_part_of_an_id_goes_through_array():
    x, y = arrays()
    gpicl_envs.register_dataset("my set: 1/2", x, y)
    env = gymnasium.make("GPICL-Array-v0", dataset="my set: 1/2", n_classes=4, length=8)
    assert env.reset(seed=0)[0]["y"].shape == (4,)
    assert not any("my set" in env_id for env_id in gymnasium.registry)


def test_array_without_a_dataset_says_how(own_data):
    with pytest.raises(MissingDataError, match=r"dataset='mine'.*register_dataset\('mine', x, y\).*NAME.npz"):
        gymnasium.make("GPICL-Array-v0")


X, Y = arrays()


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
        ((), "has no x_train and y_train"),
        (("text", Y), "x_train of mine has dtype <U4"),
    ],
)
def test_bad_arrays_are_refused_with_what_was_given(given: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        gpicl_envs.register_dataset("mine", *given)
    assert "mine" not in DATASETS and "GPICL-mine-v0" not in gymnasium.registry


@pytest.mark.parametrize("name", ["mnist", "Array", "CIFAR-10", "", "  ", 5, None], ids=repr)
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="registered already|name must be text"):
        gpicl_envs.register_dataset(name, X, Y)


def test_a_spec_takes_no_arrays():
    with pytest.raises(ValueError, match="the spec of Digits and arrays"):
        gpicl_envs.register_dataset(DATASETS["Digits"], X, Y)
