"""Datasets that are kept in files: how they are found, verified, decoded and cached."""

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import vision_files

from gpicl_envs.datasets import DATASETS, cache, load_dataset, torchvision_formats
from gpicl_envs.datasets.registry import find_dataset
from gpicl_envs.datasets.torchvision import VisionFiles
from gpicl_envs.datasets.torchvision_formats import area_average
from gpicl_envs.errors import DamagedDataError, MissingDataError, UnknownNameError

VISION = [name for name, spec in DATASETS.items() if isinstance(spec.files, VisionFiles)]


def small_npz(path: Path, **arrays) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.arange(30) % 3
    arrays = {"x_train": generator.integers(256, size=(30, 4, 4), dtype=np.uint8), "y_train": y} | arrays
    arrays = {name: value for name, value in arrays.items() if value is not None}
    np.savez_compressed(path, **arrays)
    return arrays


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


# -- torchvision's files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VISION)
def test_torchvisions_files_become_exactly_their_images_and_labels(name: str, own_data: Path, monkeypatch):
    small = vision_files.write(name, own_data, monkeypatch)
    for dataset in (small.files.load(), small.files.load()):  # decoded, then from the cache
        assert dataset.name == name and dataset.n_classes == small.files.n_classes
        for split, labels in small.y.items():
            assert np.array_equal(dataset.y[split], labels) and dataset.y[split].dtype == np.int64
            assert dataset.x[split].shape[1:] == small.files.shape and dataset.x[split].dtype == np.uint8
            if small.x:
                assert np.array_equal(dataset.x[split], small.x[split])


def test_omniglots_strokes_are_white_and_characters_are_numbered_in_the_order_of_their_names(own_data, monkeypatch):
    dataset = vision_files.write("Omniglot", own_data, monkeypatch).files.load()
    images = np.concatenate([dataset.x["train"], dataset.x["test"]])
    labels = np.concatenate([dataset.y["train"], dataset.y["test"]])
    for image, label in zip(images, labels, strict=True):  # 15 black rows of the file are 4 white rows here
        assert (image[: 4 * (label + 1)] == 255).all() and (image[4 * (label + 1) :] == 0).all()
    assert set(dataset.y["train"]).isdisjoint(dataset.y["test"])


def test_area_averages_count_pixels_in_part():
    image = np.zeros((105, 105), np.uint8)
    image[0] = 255
    assert (area_average(image, 28)[0] == round(255 / 3.75)).all() and (area_average(image, 28)[1:] == 0).all()
    image = np.random.default_rng(0).integers(256, size=(105, 105), dtype=np.uint8)
    assert area_average(image, 28).mean() == pytest.approx(image.mean(), abs=0.1)
    assert np.array_equal(
        area_average(image[:56, :56], 28), np.rint(image[:56, :56].reshape(28, 2, 28, 2).mean((1, 3)))
    )


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


def test_any_npz_of_the_folder_can_be_named(real_data: Path):
    if not (real_data / "kmnist_test.npz").is_file():
        pytest.skip(f"no kmnist_test.npz in {real_data}")
    dataset = load_dataset("KMNIST-test")
    assert dataset.name == "kmnist_test" and list(dataset.x) == ["test"] and len(dataset.y["test"]) == 10_000


# -- NAME.npz ----------------------------------------------------------------------------------------------------------


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


def test_a_file_that_is_written_anew_is_read_anew(own_data: Path):
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


# -- The cache ---------------------------------------------------------------------------------------------------------


def test_arrays_are_mapped_and_what_is_written_to_them_stays_in_memory(own_data: Path):
    arrays = small_npz(own_data / "mine.npz")
    spec = find_dataset("mine")
    x = spec.load().x["train"]
    assert isinstance(x.base, np.memmap)
    torch.from_numpy(x).zero_()
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
    assert [path.name for path in cache.cache_folder().glob(".*")] == []


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
    assert len(list(cache.cache_folder().iterdir())) == 30


def test_the_default_folders_are_the_users_cache(monkeypatch):
    monkeypatch.delenv("GPICL_DATA_DIR")
    monkeypatch.delenv("GPICL_CACHE_DIR")
    data, arrays = cache.data_folder(), cache.cache_folder()
    assert (data.name, arrays.name) == ("data", "arrays") and data.parent == arrays.parent
    assert data.parent.name == "gpicl-envs"


# -- Lazy imports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "main(['envs'])", "main(['data', 'list'])"])
def test_listing_imports_neither_torchvision_nor_torch(command: str):
    program = f"import sys, gpicl_envs\nfrom gpicl_envs.cli import main\n{command}\n"
    program += "print({'torch', 'torchvision'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "set()"


def test_every_vision_dataset_knows_its_checksums():
    """The registry's file names are those that torchvision knows."""
    pytest.importorskip("torchvision", reason="torchvision cannot be imported")
    for name in VISION:
        files = DATASETS[name].files
        assert isinstance(files, VisionFiles)
        for path in (*files.names, *files.unpacked):
            assert len(files.known()[Path(path).name].md5) == 32
        assert all(files.known()[Path(path).name].urls for path in files.names)
    assert torchvision_formats.OMNIGLOT_SIZE == DATASETS["Omniglot"].shape[0]
