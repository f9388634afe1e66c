"""One reader for each kind of file: what it refuses, and why."""

import io
import os
import pickle
import sys
import tarfile
from pathlib import Path

import form_files
import numpy as np
import pytest
from form_files import examples
from scipy.io import savemat

from gpicl_envs.datasets import form_readers, load_dataset
from gpicl_envs.datasets.form_readers import read_batch, read_binary, read_image, read_mat, read_parquet
from gpicl_envs.errors import DamagedDataError, MissingDataError

HERE = Path("here")
X, Y = (values["train"] for values in examples())


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_batch_is_refused_and_runs_nothing(own_data: Path):
    form_files.write_batches(own_data, *examples())
    bad = own_data / "cifar-10-batches-py" / "data_batch_2"
    bad.write_bytes(pickle.dumps({"data": Runs(own_data / "ran"), "labels": [1]}))
    with pytest.raises(DamagedDataError, match=r"data_batch_2 is damaged.*it would call '\w+.mkdir'.*nothing was run"):
        load_dataset("CIFAR10")
    assert not (own_data / "ran").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": [1]}, "it has no data, but labels"),
        ({"data": form_files.rows(X)}, "it has no labels, but data"),
        ({"data": form_files.rows(X)[:, :-1], "labels": Y.tolist()}, r"uint8 of shape \(30, 3071\), not uint8 of"),
        ({"data": form_files.rows(X) / 1, "labels": Y.tolist()}, r"its data are float64 of shape \(30, 3072\)"),
        ({"data": X, "labels": Y.tolist()}, r"shape \(30, 32, 32, 3\)"),
        ({"data": [1], "labels": [1]}, "its data are list"),
    ],
    ids=str,
)
def test_batches_of_another_content_are_refused(given: dict, message: str):
    with pytest.raises(ValueError, match=message):
        read_batch(HERE, pickle.dumps(given), labels="labels")


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3073 * 2 + 1)], ids=len)
def test_a_binary_file_of_another_size_is_refused(content: bytes):
    with pytest.raises(ValueError, match="not a multiple of 3,073"):
        read_binary(HERE, content, labels=1)


def mat(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    savemat(stream, {"X": X.transpose(1, 2, 3, 0), "y": Y[:, None].astype(np.uint8)} | arrays, do_compression=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mat(X=X), r"its X is uint8 of shape \(30, 32, 32, 3\), not uint8 of shape \(32, 32, 3, M\)"),
        (mat(X=X.transpose(1, 2, 3, 0) / 1), "its X is double"),
        (mat(y=Y[:-1, None]), r"its y is .*, not of shape \(30, 1\)"),
        (mat(y=Y[:, None] + 2), "its labels are not digits"),
        (mat(y=Y[:, None] + 0.5), "its labels are not digits"),
        (b"no file of MATLAB at all" * 20, "Unknown mat file type"),
    ],
    ids=range(6),
)
def test_a_mat_file_of_another_content_is_refused(content: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        read_mat(HERE, content)


def test_an_image_of_another_size_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(form_readers.np, "asarray", lambda *_: pytest.fail("must not unpack anything"))
    content = form_files.png(np.zeros((5000, 5000), np.uint8))
    assert len(content) < 50_000
    with pytest.raises(ValueError, match="it has an image of 5000×5000 pixels, not 32×32"):
        read_image(HERE, content)


def test_grey_images_become_colour_and_other_files_are_refused():
    grey = np.arange(1024, dtype=np.uint8).reshape(32, 32)
    found = read_image(Path("train/cat/1.png"), form_files.png(grey))
    assert found.y.tolist() == ["cat"] and np.array_equal(found.x[0], np.stack([grey] * 3, 2))
    with pytest.raises(OSError, match="cannot identify image file"):
        read_image(HERE, form_files.png(grey, "gif"))  # the others are read by code that few look at


def test_a_bomb_in_an_archive_is_refused_before_it_fills_the_memory(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(form_readers, "LARGEST", 1 << 22)
    zeros = bytes(1 << 23)
    (own_data / "cifar-10-python.tar.gz").write_bytes(form_files.tar({"cifar-10-batches-py/data_batch_1": zeros}))
    with pytest.raises(
        DamagedDataError, match="cifar-10-python.tar.gz is damaged.*unpacks to more than 4,194,304 bytes"
    ):
        load_dataset("CIFAR10")


def test_a_header_of_an_archive_that_promises_gigabytes_is_refused(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(form_readers, "LARGEST", 1 << 22)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    stream = io.BytesIO()
    with form_readers.gzip.open(stream, "wb") as packed:
        packed.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 23))
    (own_data / "cifar-10-python.tar.gz").write_bytes(stream.getvalue())
    with pytest.raises(DamagedDataError, match="unpacks to more than"):
        load_dataset("CIFAR10")


def test_links_in_an_archive_are_not_followed(own_data: Path):
    files = {name: form_files.batch(*part) for name, part in form_files.by_file(*examples()).items()}
    secret = form_files.put(own_data.parent / "secret", files.pop("test_batch"))
    link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    with tarfile.open(own_data / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.addfile(link)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DamagedDataError, match="no files of both splits"):
        load_dataset("CIFAR10")


def test_a_file_larger_than_any_of_these_is_not_read(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    form_files.write_mat(own_data, *examples())
    monkeypatch.setattr(form_readers, "LARGEST", 1000)
    with pytest.raises(DamagedDataError, match=r"train_32x32.mat is damaged.*it has [\d,]+ bytes, more than any file"):
        load_dataset("SVHN")


# -- Parquet -----------------------------------------------------------------------------------------------------------


def test_without_pyarrow_one_line_says_what_to_install(own_data: Path, monkeypatch: pytest.MonkeyPatch):
    form_files.put(own_data / "cifar10" / "train-00000-of-00001.parquet", b"PAR1")
    form_files.put(own_data / "cifar10" / "test-00000-of-00001.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDataError, match=r"train-\S*.parquet needs pyarrow: pip install 'gpicl-envs\[parquet\]'"):
        load_dataset("CIFAR10")


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [("pixels", "label", "the columns pixels, label, not img or image, and label"), ("img", "y", "the columns img, y")],
)
def test_parquet_files_of_other_columns_are_refused(image: str, label: str, message: str):
    pytest.importorskip("pyarrow", reason="pyarrow is missing")
    with pytest.raises(ValueError, match=message):
        read_parquet(HERE, form_files.parquet(X, Y, image, label), labels=("label",))


def test_parquet_images_of_another_size_or_kind_are_refused(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pyarrow", reason="pyarrow is missing")
    with pytest.raises(ValueError, match="it has an image of 31×32 pixels"):
        read_parquet(HERE, form_files.parquet(X[:, :, 1:], Y), labels=("label",))
    monkeypatch.setattr(form_files, "png", lambda image: None)
    with pytest.raises(ValueError, match="it has NoneType where the bytes of an image should be"):
        read_parquet(HERE, form_files.parquet(X, Y), labels=("label",))
    monkeypatch.setattr(form_readers, "LARGEST", 100)
    with pytest.raises(ValueError, match="it unpacks to more than 100 bytes"):
        read_parquet(HERE, form_files.parquet(X, Y), labels=("label",))
