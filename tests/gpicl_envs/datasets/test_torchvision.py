"""Datasets that are kept in files: how they are found, verified, decoded and cached."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vision_files
from small_data import flip, small_npz
from vision_files import VISION

from gpicl_envs.datasets import DATASETS, load_dataset, torchvision_formats
from gpicl_envs.datasets.torchvision import VisionFiles
from gpicl_envs.errors import DamagedDataError, MissingDataError


@pytest.mark.parametrize("harm", ["flipped", "cut"])
@pytest.mark.parametrize("name", ["KMNIST", "EMNISTLetters", "QMNIST", "USPS", "CIFAR10", "SVHN", "Omniglot"])
def test_a_damaged_file_is_refused_by_its_name(name: str, harm: str, own_data: Path, monkeypatch):
    small = vision_files.write(name, own_data, monkeypatch)
    small.files.load()  # an intact copy in the cache changes nothing
    path = own_data / small.files.names[-1]
    flip(path) if harm == "flipped" else path.write_bytes(path.read_bytes()[:-10])
    for use in (small.files.load, small.files.verify):
        with pytest.raises(DamagedDataError, match=f"{path.name} is damaged.*gpicl data download {name}"):
            use()


def test_swapped_files_are_recognised(own_data: Path, monkeypatch):
    files = vision_files.write("FashionMNIST", own_data, monkeypatch).files
    train, test = (own_data / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte.gz" for part in ("train", "t10k"))
    content = test.read_bytes()
    test.write_bytes(train.read_bytes())
    train.write_bytes(content)
    with pytest.raises(
        DamagedDataError, match=f"{train.name} is .* It is the content of {test.name}: files were swapped"
    ):
        files.load()


def test_the_files_of_another_dataset_are_refused(own_data: Path, monkeypatch):
    vision_files.write("FashionMNIST", own_data, monkeypatch, seed=1)
    files = vision_files.write("KMNIST", own_data, monkeypatch, seed=2).files
    for name in files.names:
        (own_data / name).write_bytes((own_data / name.replace("KMNIST", "FashionMNIST")).read_bytes())
    with pytest.raises(DamagedDataError, match="train-images-idx3-ubyte.gz is damaged, cut short or another file"):
        files.load()


def test_only_verified_bytes_are_read(own_data: Path, monkeypatch):
    """What an earlier unpacking left beside the archive plays no part."""
    small = vision_files.write("FashionMNIST", own_data, monkeypatch)
    raw = own_data / "FashionMNIST" / "raw"
    for path in list(raw.glob("*.gz")):
        content = bytearray(gzip.decompress(path.read_bytes()))
        content[-1] ^= 1
        (raw / path.stem).write_bytes(content)
    assert np.array_equal(small.files.load().y["train"], small.y["train"])


def test_unpacked_cifar_batches_serve_too_and_are_verified(own_data: Path, monkeypatch):
    small = vision_files.write("CIFAR10", own_data, monkeypatch)
    archive = own_data / "cifar-10-python.tar.gz"
    subprocess.run(["tar", "xzf", archive, "-C", own_data], check=True)
    archive.unlink()
    assert np.array_equal(small.files.load().x["train"], small.x["train"])
    flip(own_data / "cifar-10-batches-py" / "data_batch_3")
    with pytest.raises(DamagedDataError, match="data_batch_3 is damaged"):
        small.files.load()


@pytest.mark.parametrize("name", VISION)
def test_a_missing_dataset_names_the_command_and_the_way_without_a_network(name: str, own_data: Path):
    with pytest.raises(MissingDataError) as caught:
        load_dataset(name)
    files = DATASETS[name].files
    assert isinstance(files, VisionFiles)
    for part in (f"gpicl data download {name}", str(own_data), "GPICL_DATA_DIR", f"{name}.npz", *files.names):
        assert part in str(caught.value)


def test_without_torchvision_the_error_says_what_to_install(own_data: Path, monkeypatch):
    files = vision_files.write("USPS", own_data, monkeypatch).files
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(MissingDataError, match=r"USPS is read through torchvision.*pip install 'gpicl-envs\[vision\]'"):
        files.load()


def test_a_cached_dataset_needs_no_torchvision(own_data: Path, monkeypatch):
    files = vision_files.write("USPS", own_data, monkeypatch).files
    files.load()
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    assert files.load().n_classes == 10


@pytest.mark.parametrize(
    ("name", "shape", "n_classes", "message"),
    [
        ("FashionMNIST", (27, 28), 10, r"FashionMNIST is uint8 of shape \(28, 28\), given uint8 of shape \(27, 28\)"),
        ("CIFAR100", (32, 32, 3), 10, "CIFAR100 has 100 classes, given 10"),
    ],
)
def test_an_npz_of_a_registered_name_must_fit_it(name, shape, n_classes, message, own_data: Path):
    x = np.random.default_rng(0).integers(256, size=(200, *shape), dtype=np.uint8)
    small_npz(own_data / f"{name}.npz", x_train=x, y_train=np.arange(200) % n_classes)
    with pytest.raises(DamagedDataError, match=message):
        load_dataset(name)


# -- The real files ----------------------------------------------------------------------------------------------------


def test_the_real_fashion_mnist_is_whole(real_data: Path):
    if not (real_data / "fashion_mnist.npz").is_file():
        pytest.skip(f"no fashion_mnist.npz in {real_data}")
    dataset = load_dataset("FashionMNIST")
    assert dataset.name == "FashionMNIST" and np.bincount(dataset.y["train"]).tolist() == [6000] * 10
    assert dataset.x["test"].shape == (10_000, 28, 28)
    assert isinstance(dataset.x["train"].base, np.memmap)


@pytest.mark.parametrize("harm", ["splits swapped", "one pixel", "labels shifted", "digits of MNIST"])
def test_a_whole_fashion_mnist_with_other_content_is_refused(harm: str, real_data: Path, own_data: Path):
    source = real_data / "fashion_mnist.npz"
    if not source.is_file():
        pytest.skip(f"no fashion_mnist.npz in {real_data}")
    with np.load(source) as file:
        arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    if harm == "splits swapped":
        arrays = {"x_train": arrays["x_test"], "y_train": arrays["y_test"]} | {
            "x_test": arrays["x_train"],
            "y_test": arrays["y_train"],
        }
    elif harm == "one pixel":
        arrays["x_test"][5_000, 14, 14] ^= 1
    elif harm == "labels shifted":
        arrays["y_test"] = np.roll(arrays["y_test"], 1)
    else:
        mnist = load_dataset("MNIST")
        arrays = {"x_test": mnist.x["test"], "y_test": mnist.y["test"]}
    np.savez(own_data / "FashionMNIST.npz", **arrays)
    with pytest.raises(
        DamagedDataError,
        match="FashionMNIST.npz is refused.*(but not its content|, but MNIST test|, but FashionMNIST test)",
    ):
        load_dataset("FashionMNIST")


def test_every_vision_dataset_knows_its_checksums():
    """The registry's file names are those that torchvision knows."""
    pytest.importorskip("torchvision", reason="torchvision cannot be imported")
    for name in VISION:
        files = DATASETS[name].files
        assert isinstance(files, VisionFiles)
        assert all(len(files.known()[Path(path).name].md5) == 32 for path in files.names)
        assert all(files.known()[Path(path).name].urls for path in files.names)
    assert torchvision_formats.OMNIGLOT_SIZE == DATASETS["Omniglot"].shape[0]
