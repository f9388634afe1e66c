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
from gpicl_envs.datasets.user import npz_files, unreadable_npz_files
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


# -- What is called NAME.npz and cannot be read ------------------------------------------------------------------------


def odd_entries(folder: Path) -> None:
    """A broken link, a link to itself, a folder and a pipe, each called *.npz, and a hidden file of macOS."""
    (folder / "broken.npz").symlink_to(folder / "gone.npz")
    (folder / "loop.npz").symlink_to(folder / "loop.npz")
    (folder / "folder.npz").mkdir()
    os.mkfifo(folder / "pipe.npz")
    (folder / "._mine.npz").write_bytes(b"")


def test_odd_entries_of_the_folder_do_not_hide_the_others(own_data: Path):
    odd_entries(own_data)
    arrays = small_npz(own_data / "mine.npz")
    assert list(npz_files()) == ["mine"] and np.array_equal(load_dataset("mine").x["train"], arrays["x_train"])
    why = unreadable_npz_files()
    assert list(why) == ["broken", "folder", "loop", "pipe"]
    assert why["broken"] == f"{own_data / 'broken.npz'} is a link to nothing."
    assert why["folder"] == f"{own_data / 'folder.npz'} is not a file."


@pytest.mark.parametrize("name", ["broken", "BRO-KEN", "loop", "folder", "pipe"])
def test_an_odd_entry_is_named_when_it_is_wanted(name: str, own_data: Path):
    odd_entries(own_data)
    with pytest.raises(DamagedDataError, match=rf"{own_data}/\w+.npz (is|cannot).*Put a file there, or remove it."):
        load_dataset(name)


def test_a_file_that_may_not_be_read_is_named(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    small_npz(own_data / "secret.npz")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, who may read everything
    with pytest.raises(DamagedDataError, match="secret.npz may not be read by you. Put a file there"):
        load_dataset("secret")


def test_a_name_that_cannot_be_printed_is_skipped_and_shown_escaped(own_data: Path):
    small_npz(own_data / "new\nline.npz")
    small_npz(own_data / "über.npz")
    assert list(npz_files()) == ["über"]
    assert unreadable_npz_files() == {"new\nline": f"{own_data}/new\\nline.npz has a name that cannot be printed."}
