"""The cache of decoded arrays."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk
from small_data import flip, small_npz

from gpicl_envs.datasets import cache
from gpicl_envs.datasets.dataset import as_tensor
from gpicl_envs.datasets.registry import find_dataset


def test_arrays_are_mapped_and_what_is_written_to_them_stays_in_memory(own_data: Path):
    arrays = small_npz(own_data / "mine.npz")
    spec = find_dataset("mine")
    x = spec.load().x["train"]
    assert isinstance(x.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 0
    as_tensor(x).zero_()
    assert np.array_equal(spec.load().x["train"], arrays["x_train"])


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "checksums gone", "checksums broken"])
def test_a_damaged_cache_is_built_again(harm: str, own_data: Path):
    arrays = small_npz(own_data / "mine.npz")
    spec = find_dataset("mine")
    spec.load()
    (file,) = cache.cache_folder().glob("mine-*/x_train.npy")
    if harm == "flipped":
        flip(file, 0.9)
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif harm == "gone":
        file.unlink()
    elif harm == "checksums gone":
        (file.parent / cache.CHECKSUMS).unlink()
    else:
        (file.parent / cache.CHECKSUMS).write_text("[]")
    assert np.array_equal(spec.load().x["train"], arrays["x_train"])
    assert np.array_equal(np.load(file), arrays["x_train"])  # the cache is whole again
    assert [path.name for path in cache.cache_folder().glob(".*")] == [".lock"]


def test_a_cache_that_cannot_be_written_only_costs_time(own_data: Path, monkeypatch):
    arrays = small_npz(own_data / "mine.npz")
    monkeypatch.setenv("GPICL_CACHE_DIR", str(own_data / "mine.npz" / "below-a-file"))
    assert np.array_equal(find_dataset("mine").load().x["train"], arrays["x_train"])


def test_processes_can_build_the_same_entry_at_once(own_data: Path):
    program = """
import sys, time
import numpy as np
from gpicl_envs.datasets.cache import cached_arrays
while time.time() < float(sys.argv[1]): pass
for k in range(30):
    assert cached_arrays("race", str(k), lambda: {"x": np.full(5000, k)})["x"].sum() == 5000 * k
"""
    start = str(time.time() + 2)
    processes = [subprocess.Popen([sys.executable, "-c", program, start]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(list(cache.cache_folder().glob("race-*"))) == 30


@pytest.mark.parametrize("room", [0, 100, 300])
def test_a_full_disk_only_costs_time_and_leaves_nothing(own_data: Path, room: int):
    arrays = small_npz(own_data / "mine.npz")
    with full_disk(room):
        assert np.array_equal(find_dataset("mine").load().x["train"], arrays["x_train"])
    assert [path.name for path in cache.cache_folder().iterdir()] in ([], [".lock"])


def test_what_a_killed_process_left_is_removed_by_the_next_one(own_data: Path):
    (cache.cache_folder() / ".building").mkdir(parents=True)
    (cache.cache_folder() / ".building" / "x_train.npy").write_text("half")
    small_npz(own_data / "mine.npz")
    find_dataset("mine").load()
    assert not (cache.cache_folder() / ".building").exists() and len(list(cache.cache_folder().glob("mine-*"))) == 1


def test_the_default_folders_are_the_users_cache(monkeypatch):
    monkeypatch.delenv("GPICL_DATA_DIR")
    monkeypatch.delenv("GPICL_CACHE_DIR")
    data, arrays = cache.data_folder(), cache.cache_folder()
    assert (data.name, arrays.name) == ("data", "arrays") and data.parent == arrays.parent
    assert data.parent.name == "gpicl-envs"
