import numpy as np
import pytest
from scipy.stats import norm

from gpicl_envs.datasets import DATASETS, Dataset, DatasetSpec, builtin, load_dataset, register_spec
from gpicl_envs.datasets.synthetic import bayes_accuracy


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_inputs_and_labels_that_fit(name: str):
    dataset = load_dataset(name)
    for split in ("train", "test"):
        x, y = dataset.split(split)
        assert x.shape == (len(y), dataset.n_inputs)
        assert y.min() >= 0 and y.max() < dataset.n_classes
    values = np.concatenate([dataset.split(split)[0].ravel() for split in ("train", "test")]).astype(np.float64)
    assert dataset.moments == pytest.approx((values.mean(), values.std()))


@pytest.mark.parametrize("name", ["MNIST", "Digits", "Random", "Clusters"])
def test_the_facts_of_the_registry_are_those_of_the_data(name: str):
    spec, dataset = DATASETS[name], load_dataset(name)
    assert (spec.shape, spec.n_classes) == (dataset.shape, dataset.n_classes)
    assert (spec.n_train, spec.n_test) == (len(dataset.y["train"]), len(dataset.y["test"]))


def test_mnist_is_whole():
    dataset = load_dataset("mnist")
    assert len(dataset.y["train"]) == 60_000 and len(dataset.y["test"]) == 10_000
    assert dataset.y["train"][:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert np.bincount(dataset.y["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_a_flipped_bit_in_mnist_is_refused(tmp_path, monkeypatch):
    original = builtin.files("gpicl_envs.datasets")
    content = bytearray((original / "data" / "mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(builtin, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"mnist\.npz is damaged.*Reinstall"):
        builtin.load_mnist()


def test_area_resizing_keeps_the_mean_of_every_image():
    large, small = load_dataset("MNIST"), load_dataset("MNIST", image_size=14)
    assert small.shape == (14, 14)
    means = large.x["test"].reshape(len(large.y["test"]), -1).mean(1)
    assert small.x["test"].reshape(len(means), -1).mean(1) == pytest.approx(means, abs=1e-3)


def test_resizing_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="needs images"):
        load_dataset("Clusters", image_size=4)


def test_unknown_names_list_the_valid_and_the_nearest():
    with pytest.raises(
        ValueError, match="Unknown dataset 'Digit'. Did you mean 'Digits'.*Clusters, Digits, .*MNIST.*register_dataset"
    ):
        load_dataset("Digit")
    with pytest.raises(ValueError, match="Unknown split of MNIST 'valid'.*test, train"):
        load_dataset("MNIST").split("valid")


def test_names_are_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        register_spec(DatasetSpec("mnist", lambda: pytest.fail("must not load"), ""))


def test_random_has_twenty_items_and_other_ones_to_test():
    dataset = load_dataset("Random")
    assert dataset.with_replacement and len(dataset.y["train"]) == len(dataset.y["test"]) == 20
    assert not np.allclose(dataset.x["train"], dataset.x["test"])


def test_bayes_accuracy_of_two_clusters_is_the_textbook_one():
    assert bayes_accuracy(1.7, 2) == pytest.approx(norm.cdf(1.7 / 2**0.5), abs=1e-6)


def test_the_optimal_player_of_clusters_scores_the_bayes_accuracy():
    """Knowing the means e_k, it takes the largest of the first K coordinates."""
    dataset = load_dataset("Clusters")
    right = np.concatenate([dataset.x[s][:, :10].argmax(1) == dataset.y[s] for s in ("train", "test")])
    deviation = (dataset.bayes_accuracy * (1 - dataset.bayes_accuracy) / len(right)) ** 0.5
    assert right.mean() == pytest.approx(dataset.bayes_accuracy, abs=4 * deviation)


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
