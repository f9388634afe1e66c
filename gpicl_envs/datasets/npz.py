"""Reading .npz files, which may come from anyone: everything is checked, nothing in them is run."""

import os
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.cache import Arrays, cached_arrays, sha256_of
from gpicl_envs.datasets.dataset import SPLITS, Dataset
from gpicl_envs.datasets.validation import check_arrays, no_pair
from gpicl_envs.errors import DamagedDataError

KEYS = tuple(f"{kind}_{split}" for split in SPLITS for kind in ("x", "y"))
MEDMNIST_KEYS = {  # the same arrays, as MedMNIST names them; its third split, val, is not read
    "x_train": "train_images",
    "y_train": "train_labels",
    "x_test": "test_images",
    "y_test": "test_labels",
}
LARGE, LARGEST_RATIO = 1 << 30, 100  # bytes unpacked, and how often as many as in the file


def load_npz(path: Path, name: str, check: Callable[[Arrays], None] | None = None) -> Dataset:
    """Return the dataset of a file, decoded once and then mapped from the cache; `check` is as for `read_npz`."""
    arrays = cached_arrays(name, f"npz {name} {sha256_of(path)}", lambda: read_npz(path, check))
    return Dataset.from_arrays(name, arrays)


def read_npz(path: Path, check: Callable[[Arrays], None] | None = None) -> Arrays:
    """Return the checked arrays of a file; Python objects in it are refused, never loaded.

    `check` raises ValueError if the arrays are not those of the dataset that the file is named after.

    Raises:
        DamagedDataError: it is not an .npz file, it is damaged, it would unpack to more than it can mean, or its arrays
            are not those of a dataset.
    """
    try:
        if not zipfile.is_zipfile(path):  # numpy.load would read a single array, of any size
            raise ValueError("It is not a zip archive, as .npz files are, or its end is missing.")
        with np.load(path, allow_pickle=False) as file:
            names = _names(path.name, file.files)
            _check_sizes(file.zip, names.values())
            arrays = check_arrays(path.name, {name: _read(file, stored) for name, stored in names.items()})
            if check is not None:
                check(arrays)
            return arrays
    except Exception as error:  # a damaged file can break its readers (zip, zlib, NumPy) in any way
        raise DamagedDataError(
            f"{path} is refused: {error or type(error).__name__} It must be a whole file of numpy.savez with plain "
            "arrays x_train, y_train, x_test, y_test, or one of the pairs. If it is damaged, write or copy it again."
        ) from error


def _names(what: str, stored: Sequence[str]) -> dict[str, str]:
    """Our name of each array of a dataset → its name in the file; raises ValueError if the file has none."""
    own = {key: key for key in KEYS if key in stored}
    names = own or {key: theirs for key, theirs in MEDMNIST_KEYS.items() if theirs in stored}
    if not names:
        raise no_pair(what, stored)
    return names


def _read(file: np.lib.npyio.NpzFile, name: str) -> NDArray[Any]:
    try:
        return file[name]
    except Exception as error:
        raise ValueError(f"{name} cannot be read ({error or type(error).__name__}).") from error


def _check_sizes(archive: zipfile.ZipFile, names: Collection[str]) -> None:
    """Raise ValueError before arrays are unpacked that fill the memory, or whose compression no data explain."""
    members = [member for member in archive.infolist() if member.filename.removesuffix(".npy") in names]
    unpacked, packed = (sum(getattr(member, kind) for member in members) for kind in ("file_size", "compress_size"))
    if unpacked > _memory():
        raise ValueError(f"Its arrays unpack to {unpacked:,} bytes, and this machine has a memory of {_memory():,}.")
    if unpacked > LARGE and unpacked > LARGEST_RATIO * packed:
        raise ValueError(
            f"Its arrays unpack from {packed:,} to {unpacked:,} bytes, as only a file does that was made to fill a "
            "memory or disk. If it is meant so, write it without compression, by numpy.savez."
        )


def _memory() -> float:
    """The bytes of this machine's memory; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return float("inf")
