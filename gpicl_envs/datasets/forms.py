"""The forms in which people have CIFAR-10, CIFAR-100 and SVHN: where their files lie, and what reads them."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from gpicl_envs.datasets.cache import Arrays, data_folder
from gpicl_envs.datasets.dataset import SPLITS, Location, simple_name
from gpicl_envs.datasets.form_readers import (
    ImageExamples,
    members,
    read_batch,
    read_binary,
    read_content,
    read_image,
    read_mat,
    read_parquet,
)
from gpicl_envs.errors import DamagedDataError, MissingDataError


@dataclass(frozen=True)
class Form:
    """A form in which people have a dataset.

    Args:
        kind: as `gpicl data list` shows it.
        train: patterns of the files of the train split.
        test: those of the test split.
        read: a file's path and content → its examples.
        archive: a .tar.gz that holds such files.
        folders: where they are otherwise, as patterns, below the data folder or a folder with the dataset's name.
        named: whether they are looked for in a folder with the dataset's name alone: their own names do not tell it.
    """

    kind: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    read: Callable[[Path, bytes], ImageExamples]
    archive: str = ""
    folders: tuple[str, ...] = ("",)
    named: bool = False

    def example(self, name: str) -> str:
        """Return what is looked for, such as `cifar-10-batches-py/data_batch_?`."""
        return "/".join(filter(None, (name if self.named else "", self.folders[0], self.train[0])))

    def paths(self, root: Path) -> tuple[Path, ...]:
        """Return the archive below a folder, or else all files; () unless there are files of both splits."""
        if self.archive and (root / self.archive).is_file():
            return (root / self.archive,)
        for pattern in self.folders:
            for folder in sorted(root.glob(pattern)) if pattern else (root,):
                found = [self._files(folder, split) for split in SPLITS]
                if all(found):
                    return tuple(path for files in found for path in files)
        return ()

    def contents(self, paths: tuple[Path, ...]) -> Iterator[tuple[Path, bytes]]:
        """Yield name and content of the files, one at a time."""
        if paths[0].name == self.archive:
            yield from ((path, content) for path, content in members(paths[0]) if self.split_of(path))
        else:
            yield from ((path, read_content(path)) for path in paths)

    def split_of(self, path: PurePath) -> str:
        """Return the split whose patterns a file matches, or an empty text."""
        return next((split for split in SPLITS if any(map(path.match, getattr(self, split)))), "")

    def _files(self, folder: Path, split: str) -> list[Path]:
        found = {path for pattern in getattr(self, split) for path in folder.glob(pattern)}
        return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def find_form(forms: tuple[Form, ...], name: str) -> tuple[Form, Location] | None:
    """Return the first form in which the data folder has the dataset, and where; None if it has none. Reads no file."""
    own = [path for path in sorted(data_folder().glob("*")) if _names(path, name) and path.is_dir()]
    for form in forms:
        for root in own if form.named else (data_folder(), *own):
            if paths := form.paths(root):
                return form, Location(form.kind, paths)
    return None


def _names(path: Path, name: str) -> bool:
    """Whether a folder has the dataset's name, alone or after its owner's, as in Hugging Face's cache."""
    return simple_name(path.name.rpartition("--")[2]) == simple_name(name)


def read_form(form: Form, paths: tuple[Path, ...], name: str) -> tuple[Arrays, dict[str, str]]:
    """Return the arrays of a dataset, and the md5 of each file that was read, in an archive or not.

    Raises:
        MissingDataError: a library is missing.
        DamagedDataError: a file is damaged, or is not what its name says.
    """
    read: dict[str, list[ImageExamples]] = {split: [] for split in SPLITS}
    digests: dict[str, str] = {}
    path = paths[0]
    try:
        for path, content in form.contents(paths):
            examples = form.read(path, content)
            if len(examples.x) != len(examples.y) or examples.y.ndim != 1:
                raise ValueError(f"it has {len(examples.x)} images, but labels of shape {examples.y.shape}")
            read[form.split_of(path)].append(examples)
            digests[str(path)] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if not all(read.values()):
            raise ValueError("it has no files of both splits, train and test")
        return _joined(read), digests
    except MissingDataError:
        raise
    except Exception as error:  # a damaged file can break its readers in any way
        inside = path if path in paths else f"{paths[0]}, with {path}"
        raise DamagedDataError(
            f"{inside} is damaged, cut short or not a file of {name} in the form {form.kind!r}: "
            f"{str(error).removesuffix('.') or type(error).__name__}. Run `gpicl data download {name}`, or put the "
            "right file there."
        ) from error


def _joined(read: dict[str, list[ImageExamples]]) -> Arrays:
    """The examples of all files as arrays by name; classes that have names are numbered in the names' order."""
    arrays = {f"x_{split}": np.concatenate([x for x, _ in parts]) for split, parts in read.items()}
    labels = {split: np.concatenate([y for _, y in parts]) for split, parts in read.items()}
    names = np.unique(np.concatenate(list(labels.values())))
    for split, y in labels.items():
        arrays[f"y_{split}"] = np.searchsorted(names, y) if names.dtype.kind == "U" else y
    return arrays


def _images(split: str) -> tuple[str, ...]:
    return tuple(f"{split}/*/*.{ending}" for ending in ("png", "jpg", "jpeg", "bmp"))


_FOLDERS = Form("folders", _images("train"), _images("test"), read_image, named=True)


def _parquet(*labels: str) -> Form:
    """Hugging Face's layout: the files, their configuration's folder, and the cache of downloads around it."""
    return Form(
        "parquet",
        ("train*.parquet",),
        ("test*.parquet",),
        partial(read_parquet, labels=labels),
        folders=("", "*", "snapshots/*", "snapshots/*/*"),
        named=True,
    )


CIFAR10 = (
    Form(
        "batches",
        ("data_batch_?",),
        ("test_batch",),
        partial(read_batch, labels="labels"),
        "cifar-10-python.tar.gz",
        ("cifar-10-batches-py", ""),
    ),
    Form(
        "binary",
        ("data_batch_?.bin",),
        ("test_batch.bin",),
        partial(read_binary, labels=1),
        "cifar-10-binary.tar.gz",
        ("cifar-10-batches-bin", ""),
    ),
    _parquet("label", "labels"),
    _FOLDERS,
)
CIFAR100 = (
    Form(
        "batches",
        ("train",),
        ("test",),
        partial(read_batch, labels="fine_labels"),
        "cifar-100-python.tar.gz",
        ("cifar-100-python",),
    ),
    Form(
        "binary",
        ("train.bin",),
        ("test.bin",),
        partial(read_binary, labels=2),
        "cifar-100-binary.tar.gz",
        ("cifar-100-binary",),
    ),
    _parquet("fine_label", "fine_labels"),
    _FOLDERS,
)
SVHN = (
    Form("mat", ("train_32x32.mat",), ("test_32x32.mat",), read_mat),
    _parquet("label", "labels"),
    _FOLDERS,
)
