import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_data import small_npz

from gpicl_envs.datasets import DATASETS, DatasetSpec, load_dataset, register_spec
from gpicl_envs.datasets.registry import find_dataset
from gpicl_envs.errors import UnknownNameError


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_inputs_and_labels_that_fit(name: str):
    dataset = load_dataset(name)
    for split in ("train", "test"):
        x, y = dataset.split(split)
        assert x.shape == (len(y), dataset.n_inputs)
        assert y.min() >= 0 and y.max() < dataset.n_classes
    values = np.concatenate([dataset.split(split)[0].ravel() for split in ("train", "test")]).astype(np.float64)
    assert dataset.moments == pytest.approx((values.mean(), values.std()))


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.files is None])
def test_the_facts_of_the_registry_are_those_of_the_data(name: str):
    spec, dataset = DATASETS[name], load_dataset(name)
    assert (spec.shape, spec.n_classes) == (dataset.shape, dataset.n_classes)
    assert (spec.n_train, spec.n_test) == (len(dataset.y["train"]), len(dataset.y["test"]))


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


def test_names_are_compared_without_case_and_strokes(own_data: Path):
    arrays = small_npz(own_data / "My_Own-set.npz", classes=np.array(["a", "b", "c"]))
    assert np.array_equal(load_dataset("myownset").x["train"], arrays["x_train"])
    assert find_dataset("fashion_mnist").name == "FashionMNIST"
    small_npz(own_data / "myown_set.npz")
    assert load_dataset("myown_set").name == "myown_set"
    with pytest.raises(ValueError, match="could be any of My_Own-set.npz, myown_set.npz"):
        load_dataset("myownset")


def test_unknown_names_list_the_npz_files(own_data: Path):
    small_npz(own_data / "flowers.npz")
    with pytest.raises(UnknownNameError, match="'flower'. Did you mean 'flowers'.*Digits.*flowers.*GPICL_DATA_DIR"):
        load_dataset("flower")


@pytest.mark.parametrize("command", ["", "main(['envs'])", "main(['data', 'list'])"])
def test_listing_imports_neither_torchvision_nor_torch(command: str):
    program = f"import sys, gpicl_envs\nfrom gpicl_envs.cli import main\n{command}\n"
    program += "print({'torch', 'torchvision'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "set()"
