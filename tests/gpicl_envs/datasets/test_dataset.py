import copy
import pickle
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from small_data import small_npz

from gpicl_envs.datasets import DATASETS, Dataset, load_dataset


def test_area_resizing_keeps_the_mean_of_every_image():
    large, small = load_dataset("MNIST"), load_dataset("MNIST", image_size=14)
    assert small.shape == (14, 14)
    means = large.x["test"].reshape(len(large.y["test"]), -1).mean(1)
    assert small.x["test"].reshape(len(means), -1).mean(1) == pytest.approx(means, abs=1e-3)


def test_resizing_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="needs images"):
        load_dataset("Clusters", image_size=4)


def test_a_dataset_of_your_own_needs_no_registration():
    generator = np.random.default_rng(0)
    x = {"train": generator.normal(size=(50, 6)).astype(np.float32)}
    mine = Dataset("mine", x, {"train": generator.integers(3, size=50)}, n_classes=3)
    assert mine.shape == (6,) and mine.n_inputs == 6


X, Y = np.zeros((6, 2), np.float32), np.arange(6) % 3


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"train": X}, {"test": Y}, "inputs of train and labels of test"),
        ({}, {}, "inputs of no split"),
        ({"valid": X}, {"valid": Y}, "train and test or one of them"),
        ({"train": X.astype(float)}, {"train": Y}, "has float64 inputs and int64 labels in train"),
        ({"train": X}, {"train": Y.astype(np.int32)}, "int32 labels"),
        ({"train": X}, {"train": Y[:-1]}, r"inputs of shape \(6, 2\) and labels of shape \(5,\)"),
        ({"train": X, "test": X[:, :1]}, {"train": Y, "test": Y}, r"in test inputs of shape \(6, 1\)"),
        ({"train": X}, {"train": Y + 1}, "labels from 0 to 2"),
        ({"train": X}, {"train": Y - 1}, "labels from 0 to 2"),
        ({"train": X[:0]}, {"train": Y[:0]}, "M at least 1"),
    ],
)
def test_a_dataset_of_arrays_that_do_not_fit_is_refused(x: dict, y: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Dataset("mine", x, y, n_classes=3)


# -- Shared by every environment, so read-only -------------------------------------------------------------------------


def own_dataset() -> Dataset:
    generator = np.random.default_rng(0)
    x = {"train": generator.normal(size=(30, 4, 4)).astype(np.float32)}
    return Dataset("mine", x, {"train": np.arange(30) % 3}, n_classes=3)


WAYS = {
    "made in Python": own_dataset,
    "resized": lambda: own_dataset().resized(2),
    "deep copy": lambda: copy.deepcopy(own_dataset()),
    "copy": lambda: copy.copy(own_dataset()),
    "from another process": lambda: pickle.loads(pickle.dumps(own_dataset())),
} | {name: lambda name=name: load_dataset(name) for name in DATASETS}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_can_write_into_the_arrays_of_a_dataset(way: str):
    dataset = WAYS[way]()
    for split in dataset.x:
        for array in (dataset.x[split], dataset.y[split], *dataset.split(split)):
            with pytest.raises(ValueError, match="read-only"):
                array[:1] = 0


@pytest.mark.parametrize("writable_cache", [True, False])
def test_files_are_read_only_in_memory_with_and_without_a_cache(
    writable_cache: bool, own_data: Path, monkeypatch: pytest.MonkeyPatch
):
    small_npz(own_data / "mine.npz")
    if not writable_cache:
        (own_data / "file").write_text("")
        monkeypatch.setenv("GPICL_CACHE_DIR", str(own_data / "file" / "cache"))
    for _ in range(2):  # built, then from the cache
        load_dataset.__globals__["_load"].cache_clear()
        dataset = load_dataset("mine")
        assert not any(array.flags.writeable for array in (dataset.x["train"], dataset.y["train"]))


def test_later_changes_of_the_arrays_that_made_a_dataset_do_not_reach_it():
    x, y = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32), np.arange(30) % 3
    splits = {"train": x}
    dataset = Dataset("mine", splits, {"train": y}, n_classes=3)
    before, fingerprint = x.copy(), dataset.fingerprint
    x[:], y[:], splits["train"] = 0, 0, x
    assert np.array_equal(dataset.x["train"], before) and dataset.y["train"].max() == 2
    assert Dataset("mine", {"train": before}, {"train": np.arange(30) % 3}, n_classes=3).fingerprint == fingerprint


def test_read_only_arrays_are_not_copied():
    """Large arrays, as those that are mapped from the cache."""
    x, y = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32), np.arange(30) % 3
    x.setflags(write=False)
    assert np.shares_memory(Dataset("mine", {"train": x}, {"train": y}, n_classes=3).x["train"], x)


def test_no_array_of_an_environment_leads_back_into_the_dataset(recwarn: pytest.WarningsRecorder):
    """Whatever an agent writes into what it is shown, the next episode is what it would have been."""
    dataset = own_dataset()
    arguments = {"dataset": dataset, "projection": "none", "n_features": 16, "length": 4, "n_tasks": 3}
    env, twin = (gymnasium.make_vec("GPICL-Array-v0", num_envs=2, **arguments) for _ in range(2))
    before = dataset.x["train"].copy(), dataset.y["train"].copy()
    observation, info = env.reset(seed=0)
    twin.reset(seed=0)
    for _ in range(5):
        for tensor in (*observation.values(), *info.values()):
            if isinstance(tensor, torch.Tensor):
                tensor.fill_(True if tensor.dtype == torch.bool else 7)
        observation, reward, terminated, truncated, info = env.step(torch.zeros(2, dtype=torch.int64))
        expected = twin.step(torch.zeros(2, dtype=torch.int64))
        assert torch.equal(observation["x"], expected[0]["x"]) and torch.equal(observation["y"], expected[0]["y"])
        assert torch.equal(info["task_id"], expected[-1]["task_id"])
        for tensor in (reward, terminated, truncated):
            tensor.fill_(True)
    assert np.array_equal(dataset.x["train"], before[0]) and np.array_equal(dataset.y["train"], before[1])
    assert [str(warning.message) for warning in recwarn] == []


# -- What is an image --------------------------------------------------------------------------------------------------

IMAGE_SHAPES = [(28, 28), (20, 30), (28, 28, 1), (28, 28, 3), (8, 8, 4), (2, 2)]
OTHER_SHAPES = [(3, 28, 28), (1, 28, 28), (28, 28, 2), (12, 12, 5), (4, 8, 8, 3), (6, 6, 6), (100, 1), (1, 9), (7,), ()]


def of_shape(shape: tuple[int, ...]) -> Dataset:
    x = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    return Dataset("mine", {"train": x}, {"train": np.arange(12) % 3}, n_classes=3)


@pytest.mark.parametrize("shape", IMAGE_SHAPES, ids=str)
def test_images_are_resized(shape: tuple[int, ...]):
    assert of_shape(shape).resized(2).shape == (2, 2, *shape[2:])


@pytest.mark.parametrize("shape", OTHER_SHAPES, ids=str)
def test_what_would_be_resized_along_the_wrong_axes_is_refused(shape: tuple[int, ...]):
    channels_first = shape in ((3, 28, 28), (1, 28, 28))
    with pytest.raises(ValueError, match=r"image_size=2 needs images.*an input of mine has shape") as caught:
        of_shape(shape).resized(2)
    assert str(shape) in str(caught.value) and ("numpy.moveaxis(x, 1, -1)" in str(caught.value)) == channels_first
