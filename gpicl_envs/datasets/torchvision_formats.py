"""How torchvision stores each family of datasets: its files, their addresses and checksums, and the arrays in them.

Only files whose checksums torchvision lists are read. Archives are unpacked into a scratch folder, where torchvision's
class reads them, so files left by an earlier unpacking are never used.
"""

import gzip
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.cache import Arrays
from gpicl_envs.datasets.dataset import SPLITS

OMNIGLOT_SIZE = 28


class KnownFile(NamedTuple):
    """What torchvision knows of a file: its addresses (none if it is inside an archive) and its md5."""

    urls: tuple[str, ...]
    md5: str


@dataclass(frozen=True)
class Format:
    """A family of datasets that torchvision stores in the same way.

    Args:
        known: torchvision's class → file name → what is known of the file.
        read: (class, verified files, scratch folder) → x_train, y_train, x_test, y_test; None if `forms.py` reads them.
    """

    known: Callable[[Any], dict[str, KnownFile]]
    read: Callable[[Any, tuple[Path, ...], Path], Arrays] | None = None


def _named(x: dict[str, Any], y: dict[str, Any]) -> Arrays:
    """Split → inputs and split → labels, as arrays by name."""
    arrays = {f"x_{split}": np.ascontiguousarray(values) for split, values in x.items()}
    return arrays | {f"y_{split}": np.asarray(values, dtype=np.int64) for split, values in y.items()}


# -- MNIST's relatives: gzipped idx files ------------------------------------------------------------------------------


def _known_idx(cls: Any) -> dict[str, KnownFile]:
    return {name: KnownFile(tuple(f"{mirror}{name}" for mirror in cls.mirrors), md5) for name, md5 in cls.resources}


def _known_qmnist(cls: Any) -> dict[str, KnownFile]:
    files = [file for split in SPLITS for file in cls.resources[split]]
    return {url.rpartition("/")[2]: KnownFile((url,), md5) for url, md5 in files}


def _read_idx(cls: Any, files: tuple[Path, ...], scratch: Path) -> Arrays:
    for file in files:
        with gzip.open(file) as packed:
            _unpack(packed, scratch / cls.__name__ / "raw" / file.stem)
    read = {split: cls(scratch, train=split == "train") for split in SPLITS}
    # QMNIST's labels are rows of facts about each digit: its class is the first of them.
    labels = {split: data.targets.numpy().reshape(len(data.targets), -1)[:, 0] for split, data in read.items()}
    return _named({split: data.data.numpy() for split, data in read.items()}, labels)


def _known_emnist(cls: Any) -> dict[str, KnownFile]:
    return {cls.url.rpartition("/")[2]: KnownFile((cls.url,), cls.md5)}


def _read_emnist(cls: Any, files: tuple[Path, ...], scratch: Path, variant: str, first_label: int) -> Arrays:
    """EMNIST's images are stored transposed; here they are upright, like MNIST's."""
    with zipfile.ZipFile(files[0]) as archive:
        for split in SPLITS:
            for kind in ("images-idx3", "labels-idx1"):
                name = f"emnist-{variant}-{split}-{kind}-ubyte"
                with archive.open(f"gzip/{name}.gz") as member, gzip.open(member) as packed:
                    _unpack(packed, scratch / cls.__name__ / "raw" / name)
    read = {split: cls(scratch, split=variant, train=split == "train") for split in SPLITS}
    images = {split: data.data.numpy().transpose(0, 2, 1) for split, data in read.items()}
    return _named(images, {split: data.targets.numpy() - first_label for split, data in read.items()})


def _unpack(packed: Any, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(packed, file)


# -- Files that are read as they are -----------------------------------------------------------------------------------


def _known_split_list(cls: Any) -> dict[str, KnownFile]:
    return {
        cls.split_list[split][1]: KnownFile((cls.split_list[split][0],), cls.split_list[split][2]) for split in SPLITS
    }


def _read_usps(cls: Any, files: tuple[Path, ...], scratch: Path) -> Arrays:
    read = {split: cls(files[0].parent, train=split == "train") for split in SPLITS}
    return _named({split: data.data for split, data in read.items()}, {split: read[split].targets for split in SPLITS})


# -- Archives of folders -----------------------------------------------------------------------------------------------


def _known_cifar(cls: Any) -> dict[str, KnownFile]:
    inside = [*cls.train_list, *cls.test_list, (cls.meta["filename"], cls.meta["md5"])]
    return {cls.filename: KnownFile((cls.url,), cls.tgz_md5)} | {name: KnownFile((), md5) for name, md5 in inside}


def _known_omniglot(cls: Any) -> dict[str, KnownFile]:
    return {
        f"{name}.zip": KnownFile((f"{cls.download_url_prefix}/{name}.zip",), md5) for name, md5 in cls.zips_md5.items()
    }


def _read_omniglot(cls: Any, files: tuple[Path, ...], scratch: Path) -> Arrays:
    """White strokes on black, 28×28 by area average. Test characters are numbered after those of the train split."""
    folder = scratch / cls.folder
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
        shutil.unpack_archive(file, folder)
    x, y, first_label = {}, {}, 0
    for split in SPLITS:
        images, labels = _characters(cls(scratch, background=split == "train"))
        x[split], y[split] = images, labels + first_label
        first_label = 1 + int(y[split].max())
    return _named(x, y)


def _characters(data: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(M, 28, 28) images and (M,) labels, sorted by character and file, since folders list them in any order."""
    names = [(data._characters[character], image) for image, character in data._flat_character_images]
    order = sorted(range(len(names)), key=names.__getitem__)
    characters = sorted({character for character, _ in names})
    number = {character: k for k, character in enumerate(characters)}
    images = np.stack([area_average(255 - np.asarray(data[i][0]), OMNIGLOT_SIZE) for i in order])
    return images, np.array([number[names[i][0]] for i in order])


def area_average(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an (S, S) image as (size, size): the mean over each new pixel's area, which may cut old pixels."""
    side = len(image)
    # Cut each of the S pixels into `size` pieces: each new pixel then owns exactly S of them.
    weights = np.eye(size).repeat(side, axis=1).reshape(size, side, size).sum(2) / side
    return np.rint(weights @ image @ weights.T).astype(np.uint8)


IDX = Format(_known_idx, _read_idx)
QMNIST = Format(_known_qmnist, _read_idx)
EMNIST_LETTERS = Format(_known_emnist, partial(_read_emnist, variant="letters", first_label=1))
EMNIST_BALANCED = Format(_known_emnist, partial(_read_emnist, variant="balanced", first_label=0))
USPS = Format(_known_split_list, _read_usps)
SVHN = Format(_known_split_list)
CIFAR = Format(_known_cifar)
OMNIGLOT = Format(_known_omniglot, _read_omniglot)
