"""The registry of base datasets, and how a name becomes a `Dataset`."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec, simple_name
from gpicl_envs.datasets.user import NpzFile, find_npz, is_path, npz_at, npz_files
from gpicl_envs.errors import MissingDataError, UnknownNameError

DATASETS: dict[str, DatasetSpec] = {}
ARRAY_ID = "GPICL-Array-v0"  # shows any dataset, by `dataset=`


def register_spec(spec: DatasetSpec) -> None:
    """Add a dataset; its name must be printable, and new without regard to case, `_` and `-`."""
    if not spec.name.isprintable():
        raise ValueError(f"A dataset's name must be text that can be printed, given {spec.name!r}.")
    taken = _find_registered(spec.name)
    if taken is not None:
        raise ValueError(f"Dataset {spec.name!r} is registered already, as {taken.name!r}: choose another name.")
    DATASETS[spec.name] = spec


def _find_registered(name: object) -> DatasetSpec | None:
    return {simple_name(spec.name): spec for spec in DATASETS.values()}.get(simple_name(str(name)))


def find_dataset(name: str | os.PathLike[str]) -> DatasetSpec:
    """Return the spec of a registered dataset, or of an .npz file.

    Args:
        name: compared without case, `_` and `-`: a registered name, or NAME for NAME.npz in the data folder. Or the
            path of an .npz file: with a folder (`./digits.npz`), or with the suffix; without a folder, it is in the
            working directory or in the data folder.

    Raises:
        UnknownNameError: no such name exists; the message lists all names.
        MissingDataError: there is no file at that path.
        ValueError: the name could be a registered dataset or a file, or it is no text.
    """
    if not isinstance(name, str | os.PathLike):
        raise ValueError(
            f"dataset={name!r} is not allowed: give a name such as 'MNIST', the path of an .npz file, or a "
            "gpicl_envs.Dataset."
        )
    text = os.fspath(name)
    file = npz_at(text)
    if file is not None:
        return npz_spec(file)
    registered = _find_registered(text)
    if registered is not None:
        _refuse_namesake(text, registered)
        return registered
    if is_path(text):
        raise MissingDataError(
            f"There is no file {text}: give the path of an .npz file, or a name from `gpicl data list`."
        )
    file = find_npz(text)
    if file is None:
        hint = (
            f"For your own data: gpicl_envs.register_dataset(name, x, y), or NAME.npz in {data_folder()} "
            "(GPICL_DATA_DIR names another folder)."
        )
        raise UnknownNameError("dataset", name, {*DATASETS, *npz_files()}, hint)
    return npz_spec(file)


def _refuse_namesake(name: str, registered: DatasetSpec) -> None:
    """Raise ValueError if the name could also be a file of the data folder that is not the dataset's own."""
    if registered.files is not None:
        return
    exact = name == registered.name
    file = npz_files().get(name) if exact else find_npz(name)
    if file is not None:
        choose = "rename the file" if exact else f"give {registered.name!r}"
        raise ValueError(
            f"dataset={name!r} could be the registered dataset {registered.name} or the file {file.path}: for the "
            f"file, give its path, {str(file.path)!r}; for the registered dataset, {choose}."
        )


@lru_cache(maxsize=256)  # the same spec for the same file, which `_load` then loads once
def npz_spec(file: NpzFile) -> DatasetSpec:
    """Return the spec of a file of the data folder, under the file's own name."""
    return DatasetSpec(file.path.stem, file.load, f"{file.path.name} of the data folder", files=file)


def load_dataset(name: str | os.PathLike[str], image_size: int | None = None, features: str | None = None) -> Dataset:
    """Return a dataset, loaded once per process.

    Args:
        name: as for `find_dataset`: a registered name, NAME for NAME.npz in the data folder, or a path.
        image_size: if given, images are resized to this many pixels a side: by area averaging, or bilinearly for the
            network of `features`.
        features: if given, images are replaced by the features of this frozen ImageNet network; see
            `gpicl_envs.datasets.features.EXTRACTORS`.

    Raises:
        UnknownNameError: no such dataset or extractor.
        MissingDataError: the dataset's files are missing.
        DamagedDataError: the files are damaged, or are not the dataset's.
    """
    spec = find_dataset(name)
    return _load(spec, None if spec.files is None else data_folder(), image_size, features)


def prepare_dataset(dataset: Any, image_size: int | None, features: str | None) -> Dataset:
    """Return a dataset, given by name, by path or itself, as `load_dataset` does."""
    if not isinstance(dataset, Dataset):
        return load_dataset(dataset, image_size, features)
    if features is not None:
        from gpicl_envs.datasets.features import extract_features  # needs torch, which listing datasets does not

        return extract_features(dataset, features, image_size)
    return dataset if image_size is None else dataset.resized(image_size)


@lru_cache(maxsize=8)
def _load(spec: DatasetSpec, folder: Path | None, image_size: int | None, features: str | None) -> Dataset:
    """`folder` is part of the key: in another data folder the same name is another file."""
    if image_size is None and features is None:
        return spec.load()
    return prepare_dataset(_load(spec, folder, None, None), image_size, features)
