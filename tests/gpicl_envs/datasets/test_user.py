"""Datasets from arrays that the user hands over."""

import copy
import os
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from small_data import small_classes, small_npz

import gpicl_envs
from gpicl_envs.datasets import DATASETS, load_dataset
from gpicl_envs.errors import DamagedDataError, MissingDataError

pytestmark = pytest.mark.usefixtures("clean_registry")


def test_registered_arrays_are_an_environment():
    x, y = small_classes()
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
    x, y = small_classes()
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


def test_a_name_that_is_no_part_of_an_id_goes_through_array():
    x, y = small_classes()
    gpicl_envs.register_dataset("my set: 1/2", x, y)
    env = gymnasium.make("GPICL-Array-v0", dataset="my set: 1/2", n_classes=4, length=8)
    assert env.reset(seed=0)[0]["y"].shape == (4,)
    assert not any("my set" in env_id for env_id in gymnasium.registry)


def test_array_without_a_dataset_says_how(own_data):
    with pytest.raises(MissingDataError, match=r"dataset='mine'.*register_dataset\('mine', x, y\).*NAME.npz"):
        gymnasium.make("GPICL-Array-v0")


@pytest.mark.parametrize("name", ["mnist", "Array", "CIFAR-10", "", "  ", 5, None], ids=repr)
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="registered already|name must be text"):
        gpicl_envs.register_dataset(name, *small_classes())


def test_any_npz_of_the_folder_can_be_named(real_data: Path):
    if not (real_data / "kmnist_test.npz").is_file():
        pytest.skip(f"no kmnist_test.npz in {real_data}")
    dataset = load_dataset("KMNIST-test")
    assert dataset.name == "kmnist_test" and list(dataset.x) == ["test"] and len(dataset.y["test"]) == 10_000


def test_a_file_that_is_rewritten_is_read_again(own_data: Path):
    first = small_npz(own_data / "mine.npz")
    assert np.array_equal(load_dataset("mine").x["train"], first["x_train"])
    second = small_npz(own_data / "mine.npz", x_train=255 - first["x_train"])
    os.utime(own_data / "mine.npz", ns=(0, time.time_ns()))
    assert np.array_equal(load_dataset("mine").x["train"], second["x_train"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": None}, "has only one of x_train and y_train"),
        ({"x_train": None, "y_train": None}, "has no x_train and y_train"),
        (
            {"x_train": None, "y_train": None, "images": np.ones((3, 4))},
            "nor x_test and y_test, but images: give a pair",
        ),
        ({"y_train": np.arange(30) % 3 + 1}, "The labels of bad.npz run from 1 to 3 with 3 different values"),
        ({"y_train": np.arange(30) % 3 * 2}, "run from 0 to 4 with 3 different values.*exactly 0 … K − 1"),
        ({"y_train": np.zeros(30, int)}, "K at least 2"),
        ({"y_train": np.arange(30) % 3 / 1}, r"y_train of bad.npz has dtype float64 and shape \(30,\)"),
        ({"y_train": np.arange(29) % 3}, "has 30 inputs in x_train, but 29 labels"),
        ({"x_train": np.arange(30)}, "x_train of bad.npz has dtype int64"),
        ({"x_train": np.zeros((30, 4), object)}, "Object arrays cannot be loaded"),
        ({"y_train": np.array([None] * 30)}, "Object arrays cannot be loaded"),
        ({"x_train": np.full((30, 4), np.nan)}, "30 inputs with values that are not finite"),
        ({"x_train": np.ones((30, 4))}, "are all 1.0"),
        (
            {"x_test": np.zeros((5, 4, 5), np.uint8), "y_test": np.arange(5) % 3},
            r"shapes: \(4, 4\) in x_train and \(4, 5\)",
        ),
    ],
    ids=str,
)
def test_bad_arrays_in_a_file_are_refused_by_its_name(arrays: dict, message: str, own_data: Path):
    small_npz(own_data / "bad.npz", **arrays)
    with pytest.raises(DamagedDataError, match=f"bad.npz is refused: .*{message}"):
        load_dataset("bad")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N.", b"\x93NUMPY\x01\x00"], ids=str)
def test_what_is_no_npz_is_refused(content: bytes, own_data: Path):
    (own_data / "bad.npz").write_bytes(content)
    with pytest.raises(DamagedDataError, match="bad.npz is refused"):
        load_dataset("bad")


def test_no_flipped_bit_changes_the_data_silently(tmp_path: Path):
    """Anywhere in the file: either it is refused, or the arrays are the right ones (a bit of the date flipped)."""
    from gpicl_envs.datasets.user import read_npz

    path = tmp_path / "flipped.npz"
    arrays = small_npz(path)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            assert all(np.array_equal(array, arrays[name]) for name, array in read_npz(path).items()), place
        except DamagedDataError:
            refused += 1
    assert refused > len(whole) / 3 * 0.6
