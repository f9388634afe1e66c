"""Files NAME.npz: what is read, and what is refused."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_data import small_npz

from gpicl_envs.datasets import load_dataset, npz
from gpicl_envs.datasets.npz import read_npz
from gpicl_envs.errors import DamagedDataError

IMAGES = np.random.default_rng(0).integers(256, size=(30, 4, 4), dtype=np.uint8)
LABELS = np.arange(30) % 3


def test_the_names_and_shapes_of_medmnist_are_taken(own_data: Path):
    """Labels of shape (M, 1) in uint8, and a third split, which is not read."""
    stored = {}
    for split, images in (("train", IMAGES), ("val", IMAGES[:9]), ("test", IMAGES[9:21])):
        stored |= {f"{split}_images": images, f"{split}_labels": LABELS[: len(images), None].astype(np.uint8)}
    np.savez(own_data / "bloodmnist.npz", **stored)
    dataset = load_dataset("bloodmnist")
    assert list(dataset.x) == ["train", "test"] and np.array_equal(dataset.x["test"], IMAGES[9:21])
    assert np.array_equal(dataset.y["train"], LABELS) and dataset.n_classes == 3


def test_our_own_names_go_first(own_data: Path):
    np.savez(own_data / "both.npz", x_train=IMAGES, y_train=LABELS, train_images=IMAGES[:5], train_labels=LABELS[:5])
    assert len(load_dataset("both").y["train"]) == 30


def test_labels_of_several_diseases_are_refused(own_data: Path):
    np.savez(own_data / "chestmnist.npz", train_images=IMAGES, train_labels=np.ones((30, 14), np.uint8))
    with pytest.raises(DamagedDataError, match=r"y_train of chestmnist.npz has dtype uint8 and shape \(30, 14\)"):
        load_dataset("chestmnist")


def test_arrays_without_names_are_named(own_data: Path):
    np.savez(own_data / "mine.npz", IMAGES, LABELS)
    with pytest.raises(DamagedDataError, match=r"but arr_0, arr_1 \(arrays that were saved without names\).*x_train=x"):
        load_dataset("mine")


def test_of_many_names_a_few_are_shown(own_data: Path):
    np.savez(own_data / "mine.npz", **{f"a{i:02d}": np.zeros(1) for i in range(60)})
    with pytest.raises(DamagedDataError, match="but a00, a01, a02, a03, a04, a05, a06, a07 and 52 more: give a pair"):
        load_dataset("mine")


# -- Files that are large only once they are unpacked ------------------------------------------------------------------


def header(shape: tuple[int, ...]) -> bytes:
    """The beginning of an .npy file of zeros of this shape."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def bomb(path: Path, megabytes: int) -> None:
    """Zeros that are a thousandth as large in the file."""
    zeros = bytes(1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as member:
            member.write(header((megabytes, 1 << 20)))
            for _ in range(megabytes):
                member.write(zeros)
        labels = io.BytesIO()
        np.save(labels, np.arange(megabytes) % 3)
        archive.writestr("y_train.npy", labels.getvalue())


def test_a_zip_bomb_is_refused_before_it_is_unpacked(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(npz, "LARGE", 1 << 25)  # so that the test's own bomb can be small
    bomb(own_data / "bomb.npz", 64)
    monkeypatch.setattr(npz, "_read", lambda *_: pytest.fail("must not unpack anything"))
    with pytest.raises(DamagedDataError, match=r"bomb.npz is refused: .* to 67,10\d,\d+ bytes.*without compression"):
        load_dataset("bomb")


def test_what_does_not_fit_the_memory_is_refused_before_it_is_unpacked(own_data: Path, monkeypatch):
    small_npz(own_data / "large.npz")
    monkeypatch.setattr(npz, "_memory", lambda: 500)
    with pytest.raises(DamagedDataError, match="unpack to 976 bytes, and this machine has a memory of 500"):
        load_dataset("large")


def test_memory_is_measured():
    assert 1 << 28 < npz._memory()


def test_dense_and_small_files_of_any_compression_are_read(own_data: Path):
    x = np.zeros((3000, 50, 50), np.uint8)  # 7.5 MB in 8 kB
    x[0] = 1
    np.savez_compressed(own_data / "sparse.npz", x_train=x, y_train=np.arange(3000) % 3)
    assert os.path.getsize(own_data / "sparse.npz") < x.size / npz.LARGEST_RATIO
    assert load_dataset("sparse").x["train"].sum() == 2500


def test_a_promise_of_more_numbers_than_there_are_is_refused(own_data: Path):
    with zipfile.ZipFile(own_data / "liar.npz", "w") as archive:
        archive.writestr("x_train.npy", header((10**15, 16)) + bytes(64))
        archive.writestr("y_train.npy", header((4,)) + bytes(4))
    with pytest.raises(DamagedDataError, match=r"liar.npz is refused: x_train cannot be read \("):
        load_dataset("liar")


# -- What is refused ---------------------------------------------------------------------------------------------------


def test_a_single_array_is_no_npz(own_data: Path):
    with (own_data / "mine.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(DamagedDataError, match="mine.npz is refused: It is not a zip archive, as .npz files are"):
        load_dataset("mine")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": None}, "has only one of x_train and y_train"),
        ({"x_train": None, "y_train": None}, "has no x_train and y_train"),
        (
            {"x_train": None, "y_train": None, "images": np.ones((3, 4))},
            "nor x_test and y_test, but images: give a pair",
        ),
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
