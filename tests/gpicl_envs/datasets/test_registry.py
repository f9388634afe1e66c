import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_data import small_npz

from gpicl_envs import TaskDistribution
from gpicl_envs.datasets import DATASETS, DatasetSpec, load_dataset, register_spec
from gpicl_envs.datasets.registry import find_dataset
from gpicl_envs.errors import MissingDataError, UnknownNameError


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


def test_a_file_of_the_name_of_a_registered_dataset_is_not_hidden(own_data: Path):
    arrays = small_npz(own_data / "digits.npz")
    with pytest.raises(
        ValueError, match="could be the registered dataset Digits or the file .*give its path, .*'Digits'"
    ):
        load_dataset("digits")
    assert load_dataset("Digits").shape == (8, 8)
    assert np.array_equal(load_dataset(str(own_data / "digits.npz")).x["train"], arrays["x_train"])
    (own_data / "digits.npz").rename(own_data / "Digits.npz")
    with pytest.raises(ValueError, match="could be .*give its path, .*Digits.npz'.*rename the file"):
        load_dataset("Digits")
    small_npz(own_data / "Omniglot.npz")  # of a dataset that is kept in files, it is the dataset
    assert find_dataset("omniglot").name == "Omniglot"


def test_a_path_is_taken_if_it_is_written_as_one(own_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    arrays = small_npz(tmp_path / "a=b,c:d.npz")
    for path in ("./a=b,c:d.npz", "a=b,c:d.npz", tmp_path / "a=b,c:d.npz"):
        assert np.array_equal(load_dataset(path).x["train"], arrays["x_train"])
    small_npz(own_data / "digits.npz")
    assert load_dataset("digits.npz").shape == (4, 4)  # of the data folder
    small_npz(tmp_path / "digits.npz")
    with pytest.raises(ValueError, match="'digits.npz' could be .* or .*give one of these paths"):
        load_dataset("digits.npz")
    with pytest.raises(MissingDataError, match="There is no file ./other.npz"):
        load_dataset("./other.npz")


def test_a_file_of_any_name_is_no_registered_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    small_npz(tmp_path / "Digits.npz")
    tasks = TaskDistribution("./Digits.npz", length=8)
    assert (tasks.env_id, tasks.name, tasks.dataset.shape) == ("GPICL-Array-v0", "Digits", (4, 4))
    monkeypatch.chdir("/")  # as a job elsewhere that makes the same tasks again
    assert pickle.loads(pickle.dumps(tasks)).fingerprint == tasks.fingerprint


@pytest.mark.parametrize("given", [None, 3, ("a", "b"), ["MNIST"], b"MNIST", np.zeros((3, 2)), DatasetSpec], ids=repr)
def test_what_is_no_name_is_refused(given):
    with pytest.raises(ValueError, match="is not allowed: give a name such as 'MNIST', the path of an .npz file"):
        load_dataset(given)
    with pytest.raises(ValueError, match="is not allowed: give a name such as 'MNIST', the path of an .npz file"):
        TaskDistribution(given)
