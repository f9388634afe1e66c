import numpy as np
import pytest

from gpicl_envs.datasets import Dataset, load_dataset


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
