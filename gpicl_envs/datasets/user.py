"""The user's data: NAME.npz files of the data folder, and arrays given in Python."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec, Location, simple_name
from gpicl_envs.datasets.frames import framed_arrays, is_framed
from gpicl_envs.datasets.npz import load_npz, read_npz
from gpicl_envs.datasets.validation import check_arrays
from gpicl_envs.errors import DamagedDataError, MissingDataError, printable

ARRAY = "Array"  # the name of `GPICL-Array-v0` without `dataset=`


@dataclass(frozen=True)
class NpzFile:
    """A version of a file NAME.npz of the data folder, identified by the time of its last change in ns."""

    path: Path
    modified: int

    def load(self) -> Dataset:
        """Return the dataset, under the file's name."""
        return load_npz(self.path, self.path.stem)

    def location(self) -> Location:
        """Return where the file is."""
        return Location("npz", (self.path,))

    def verify(self) -> bool:
        """Read the whole file again, past the cache; raises `DamagedDataError`. Return False: no checksum is known."""
        read_npz(self.path)
        return False


def npz_files() -> dict[str, NpzFile]:
    """Return the .npz files of the data folder that can be read, by name."""
    return _scan()[0]


def unreadable_npz_files() -> dict[str, str]:
    """Return what has the ending .npz in the data folder and is no file that can be read: name → why, in a sentence."""
    return _scan()[1]


def _scan() -> tuple[dict[str, NpzFile], dict[str, str]]:
    """The files that can be read, and why others cannot, both by name. Hidden files are not looked at."""
    files, others = {}, {}
    for path in sorted(data_folder().glob("[!.]*.npz")):
        try:
            if path.is_file() and os.access(path, os.R_OK) and path.stem.isprintable():
                files[path.stem] = NpzFile(path, path.stat().st_mtime_ns)
                continue
            why = "is not a file" if path.exists() else "is a link to nothing"
            if path.is_file():
                why = "may not be read by you" if path.stem.isprintable() else "has a name that cannot be printed"
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
        others[path.stem] = f"{printable(str(path))} {why}."
    return files, others


def is_path(text: str) -> bool:
    """Whether a text is written as the path of a file, not as a name: with a folder, or with the suffix .npz."""
    return Path(text).name != text or text.casefold().endswith(".npz")


def npz_at(text: str) -> NpzFile | None:
    """Return the file at a path; None if there is none, or if the text is not written as a path.

    Without a folder, the file is in the working directory or in the data folder.

    Raises:
        ValueError: each of these folders has such a file.
    """
    if not is_path(text) or "\0" in text:
        return None
    places = [Path(text).expanduser()] + ([data_folder() / text] if Path(text).name == text else [])
    found = [path.absolute() for path in places if path.is_file()]
    if len(found) > 1 and not found[0].samefile(found[1]):
        raise ValueError(f"{text!r} could be {found[0]} or {found[1]}: give one of these paths.")
    return NpzFile(found[0], found[0].stat().st_mtime_ns) if found else None


def find_npz(name: str) -> NpzFile | None:
    """Return the file of this name in the data folder, compared without case, `_` and `-`; None if there is none.

    Raises:
        ValueError: several files match, none of them exactly.
        DamagedDataError: what has this name cannot be read.
    """
    files, others = _scan()
    if name in files:
        return files[name]
    same = [file for stem, file in files.items() if simple_name(stem) == simple_name(name)]
    if len(same) > 1:
        names = ", ".join(printable(file.path.name) for file in same)
        raise ValueError(f"{name!r} could be any of {names} in {data_folder()}: give one of these names.")
    broken = [why for stem, why in others.items() if simple_name(stem) == simple_name(name)]
    if broken and not same:
        raise DamagedDataError(f"{others.get(name, broken[0])} Put a file there, or remove it.")
    return same[0] if same else None


def array_spec(
    name: str, x: object, y: object, x_test: object = None, y_test: object = None, label: str | None = None
) -> DatasetSpec:
    """Return the spec of a dataset of arrays or columns, checked and copied; see `gpicl_envs.register_dataset`."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"A dataset's name must be text, given {name!r}.")
    given: dict[str, Any] = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    class_names: tuple[str, ...] = ()
    if is_framed(x, y, x_test, y_test):
        given, class_names = framed_arrays(name, x, y, x_test, y_test, label)
    elif label is not None:
        raise ValueError(f"label={label!r} names a column, but {name} has arrays: give the labels as y.")
    checked = check_arrays(name, {key: value for key, value in given.items() if value is not None}, copy=True)
    dataset = Dataset.from_arrays(name, checked, class_names)
    return DatasetSpec(
        name,
        lambda: dataset,
        "columns given in Python" if class_names else "arrays given in Python",
        shape=dataset.shape,
        n_classes=dataset.n_classes,
        n_train=len(dataset.y["train"]) if "train" in dataset.y else None,
        n_test=len(dataset.y["test"]) if "test" in dataset.y else None,
    )


class ArrayFiles:
    """`GPICL-Array-v0` without `dataset=`: Array.npz of the data folder."""

    def location(self) -> Location | None:
        """Return Array.npz, or None."""
        file = find_npz(ARRAY)
        return None if file is None else file.location()

    def load(self) -> Dataset:
        """Return the dataset in Array.npz; raises `MissingDataError` if there is none."""
        return load_npz(self._require().path, ARRAY)

    def verify(self) -> bool:
        """Check Array.npz; raises as `load` does."""
        return self._require().verify()

    def _require(self) -> NpzFile:
        file = find_npz(ARRAY)
        if file is None:
            raise MissingDataError(
                "GPICL-Array-v0 comes without data: choose some, as in gymnasium.make('GPICL-Array-v0', "
                "dataset='mine') after gpicl_envs.register_dataset('mine', x, y); or give a gpicl_envs.Dataset, a "
                f"registered name, NAME for a file NAME.npz in {data_folder()} (or in GPICL_DATA_DIR), or a path."
            )
        return file


_FILES = ArrayFiles()
SPECS = (
    DatasetSpec(
        ARRAY, _FILES.load, "your own, by dataset=: arrays, a NAME.npz file, any registered name", files=_FILES
    ),
)
