"""Every form in which people have CIFAR-10 and SVHN: it is found, read exactly, and refused if it is not whole."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import form_files
import numpy as np
import pytest
from form_files import FORMS, SPLITS, examples

from gpicl_envs.datasets import DATASETS, load_dataset
from gpicl_envs.datasets.forms import CIFAR10, SVHN
from gpicl_envs.errors import DamagedDataError, MissingDataError

Write = Callable[..., None]


def written(kind: str, write: Write, folder: Path):
    """Write the form, and return what must be read."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is missing")
    x, y = examples()
    write(folder, x, y)
    return x, y


def in_order(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples class by class; within a class their order stays."""
    order = np.argsort(labels, kind="stable")
    return images[order], labels[order]


@pytest.mark.parametrize(("name", "kind", "write"), FORMS, ids=[f"{n}-{k}-{i}" for i, (n, k, _) in enumerate(FORMS)])
def test_each_form_gives_exactly_its_images_and_labels(name: str, kind: str, write: Write, own_data: Path, monkeypatch):
    x, y = written(kind, write, own_data)
    location = DATASETS[name].location()
    assert location is not None and location.kind == kind and location.paths[0].is_relative_to(own_data)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)  # no form needs it
    dataset = load_dataset(name)
    for split in SPLITS:
        found, expected = (dataset.x[split], dataset.y[split]), (x[split], y[split])
        if kind == "folders":
            found, expected = in_order(*found), in_order(*expected)
        assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    assert dataset.n_classes == 10 and dataset.x["train"].dtype == np.uint8


@pytest.mark.parametrize(("name", "kind", "write"), FORMS, ids=[f"{n}-{k}-{i}" for i, (n, k, _) in enumerate(FORMS)])
def test_a_file_cut_short_is_refused_by_its_name(name: str, kind: str, write: Write, own_data: Path):
    written(kind, write, own_data)
    path = DATASETS[name].location().paths[-1]
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DamagedDataError, match=f"{path.name} is (damaged|refused)"):
        load_dataset(name)


@pytest.mark.parametrize("form", CIFAR10 + SVHN, ids=lambda form: form.kind)
def test_files_of_one_split_alone_are_not_the_dataset(form, own_data: Path):
    name = "CIFAR10" if form in CIFAR10 else "SVHN"
    _, _, write = next(row for row in FORMS if row[0] == name and row[1] == form.kind)
    written(form.kind, write, own_data)
    for path in form.paths(own_data) or form.paths(next(own_data.iterdir())):
        if form.split_of(path) == "test":
            path.unlink()
    with pytest.raises(MissingDataError, match="is not in the data folder.* Also read there: "):
        load_dataset(name)


def test_files_in_a_folder_with_the_datasets_name_are_found(own_data: Path):
    x, y = examples()
    form_files.write_mat(own_data / "SVHN", x, y)
    form_files.write_batches(own_data / "cifar_10", x, y)
    assert np.array_equal(load_dataset("SVHN").x["test"], x["test"])
    assert np.array_equal(load_dataset("CIFAR10").x["test"], x["test"])


def test_batches_that_lie_in_the_data_folder_itself_are_found(own_data: Path):
    form_files.write_batches(own_data, *examples())
    for path in (own_data / "cifar-10-batches-py").iterdir():
        path.rename(own_data / path.name)
    assert len(load_dataset("CIFAR10").y["train"]) == 30


def test_parquet_files_and_folders_without_the_datasets_name_belong_to_nobody(own_data: Path):
    pytest.importorskip("pyarrow", reason="pyarrow is missing")
    x, y = examples()
    form_files.write_folders("", form_files.CLASSES)(own_data, x, y)
    form_files.write_parquet("", "img")(own_data, x, y)
    assert DATASETS["CIFAR10"].location() is DATASETS["SVHN"].location() is None


def test_cifar100_has_fine_labels_in_batches_and_in_its_binary_version(own_data: Path):
    import pickle

    y = {split: np.random.default_rng(1).permutation(100) for split in SPLITS}
    x = {split: np.random.default_rng(2).integers(256, size=(100, 32, 32, 3), dtype=np.uint8) for split in SPLITS}
    for split in SPLITS:
        labels = {"coarse_labels": (y[split] // 5).tolist(), "fine_labels": y[split].tolist()}
        content = pickle.dumps({"data": form_files.rows(x[split])} | labels)
        form_files.put(own_data / "cifar-100-python" / split, content)
        both = np.stack([y[split] // 5, y[split]], 1).astype(np.uint8)
        content = np.concatenate([both, form_files.rows(x[split])], 1).tobytes()
        form_files.put(own_data / "cifar-100-binary" / f"{split}.bin", content)
    first = load_dataset("CIFAR100")
    shutil.rmtree(own_data / "cifar-100-python")
    files = DATASETS["CIFAR100"].files
    assert files.location().kind == "binary"
    for dataset in (first, files.load()):
        assert np.array_equal(dataset.x["train"], x["train"]) and np.array_equal(dataset.y["test"], y["test"])


def test_a_changed_file_is_read_again(own_data: Path):
    form_files.write_mat(own_data, *examples())
    files = DATASETS["SVHN"].files
    first = files.load()
    x, y = examples(seed=5)
    form_files.write_mat(own_data, x, y)
    assert not np.array_equal(first.x["train"], x["train"]) and np.array_equal(files.load().x["train"], x["train"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(30) % 9, "CIFAR10 has 10 classes, given 9"),
        (np.arange(30) % 10 + 1, "CIFAR10 has 10 classes, given 11"),
    ],
    ids=["nine", "eleven"],
)
def test_other_classes_are_refused(labels: np.ndarray, message: str, own_data: Path):
    x, y = examples()
    y = {"train": labels, "test": labels[:20] if len(set(labels)) == 9 else y["test"]}
    form_files.write_binary(own_data, x, y)
    with pytest.raises(DamagedDataError, match=f"data_batch_1.bin and what belongs to it are refused: .*{message}"):
        load_dataset("CIFAR10")


def test_the_official_files_beside_a_strange_one_are_refused(own_data: Path, monkeypatch):
    """Once one file has a known checksum, all must have theirs; see also test_torchvision.py."""
    import vision_files

    vision_files.write("SVHN", own_data, monkeypatch)
    x, y = examples(seed=9)
    form_files.put(own_data / "test_32x32.mat", form_files.mat(x["test"], y["test"]))
    with pytest.raises(DamagedDataError, match="test_32x32.mat is damaged, cut short or another file: its md5 is"):
        load_dataset("SVHN")
