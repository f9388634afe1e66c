"""The folders of datasets on disk, checksums, and the cache of decoded arrays.

The data folder holds what was downloaded or put there, and may be read-only. The cache folder holds decoded arrays,
which are mapped into memory instead of read; it can be deleted at any time.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_dir

APPLICATION = "gpicl-envs"
CHECKSUMS = "sha256.json"
FORMAT = 1  # of cache entries: another number ignores those that exist

Arrays = dict[str, NDArray[Any]]


def data_folder() -> Path:
    """Return `$GPICL_DATA_DIR`, else the folder `data` in the user's cache folder."""
    return _folder("GPICL_DATA_DIR", "data")


def cache_folder() -> Path:
    """Return `$GPICL_CACHE_DIR`, else the folder `arrays` in the user's cache folder."""
    return _folder("GPICL_CACHE_DIR", "arrays")


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable)
    if not given:
        return Path(user_cache_dir(APPLICATION)) / default
    try:
        return Path(given).expanduser()
    except RuntimeError as error:  # ~name of nobody
        raise ValueError(f"{variable}={given} names no folder ({error}): give a path.") from error


def md5_of(path: Path) -> str:
    """Return the md5 of a file, as torchvision lists it (against accidents, not attackers)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(*arrays: NDArray[Any]) -> str:
    """Return the sha256 of the arrays' bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def cached_arrays(label: str, source: str, build: Callable[[], Arrays]) -> Arrays:
    """Return `build()`, from the cache if it was built before, mapped into memory.

    A cached array is used only if its sha256 is the one written with it; otherwise it is built again. The arrays are
    read-only. Without a writable cache folder they stay in memory.

    Args:
        label: makes the cache entry's name readable.
        source: what the arrays are made from, and how; each source has an entry.
        build: returns the arrays by name; called at most once.
    """
    readable = re.sub(r"[^\w.+-]", "_", label)[:60]
    folder = cache_folder() / f"{readable}-{hashlib.sha256(f'{FORMAT} {source}'.encode()).hexdigest()[:32]}"
    arrays = _mapped(folder)
    if arrays is None:
        built = build()
        try:
            _write(folder, built)
        except (OSError, ValueError):  # no permission, or no space
            pass
        arrays = _mapped(folder) or built
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _mapped(folder: Path) -> Arrays | None:
    """The arrays of a cache entry, or None if it is absent or damaged."""
    try:
        checksums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        if any(sha256_of(folder / f"{name}.npy") != checksum for name, checksum in checksums.items()):
            return None
        # "c", not "r": a tensor of the same memory could be written to, which should not end the process.
        return {name: np.load(folder / f"{name}.npy", mmap_mode="c").view(np.ndarray) for name in checksums}
    except (OSError, ValueError, AttributeError):
        return None


def _write(folder: Path, arrays: Arrays) -> None:
    """Write a cache entry under a temporary name, then rename it: other processes see all of it or nothing.

    One process writes at a time, so what lies there under the temporary name was left by one that was killed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / ".building"
    with FileLock(folder.parent / ".lock"):
        if _mapped(folder) is not None:  # another process was faster
            return
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
            for name, array in arrays.items():
                np.save(scratch / f"{name}.npy", array, allow_pickle=False)
                np.load(scratch / f"{name}.npy", mmap_mode="r")  # fails if it is short, which np.save may not say
            checksums = {name: sha256_of(scratch / f"{name}.npy") for name in arrays}
            (scratch / CHECKSUMS).write_text(json.dumps(checksums), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a damaged entry
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
