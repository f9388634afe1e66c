"""The registry of base datasets, and how a name becomes a `Dataset`."""

from functools import lru_cache
from pathlib import Path

from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec, simple_name
from gpicl_envs.datasets.user import NpzFile, find_npz, npz_files
from gpicl_envs.errors import UnknownNameError

DATASETS: dict[str, DatasetSpec] = {}
ARRAY_ID = "GPICL-Array-v0"  # shows any dataset, by `dataset=`


def register_spec(spec: DatasetSpec) -> None:
    """Add a dataset; its name must be new, without regard to case, `_` and `-`."""
    taken = _find_registered(spec.name)
    if taken is not None:
        raise ValueError(f"Dataset {spec.name!r} is registered already, as {taken.name!r}: choose another name.")
    DATASETS[spec.name] = spec


def _find_registered(name: object) -> DatasetSpec | None:
    return {simple_name(spec.name): spec for spec in DATASETS.values()}.get(simple_name(str(name)))


def find_dataset(name: str) -> DatasetSpec:
    """Return the spec of a registered dataset, or of a file NAME.npz in the data folder.

    Args:
        name: compared without case, `_` and `-`.

    Raises:
        UnknownNameError: neither exists; the message lists all names.
    """
    registered = _find_registered(name)
    if registered is not None:
        return registered
    file = find_npz(str(name))
    if file is None:
        hint = (
            f"For your own data: gpicl_envs.register_dataset(name, x, y), or NAME.npz in {data_folder()} "
            "(GPICL_DATA_DIR names another folder)."
        )
        raise UnknownNameError("dataset", name, {*DATASETS, *npz_files()}, hint)
    return npz_spec(file)


@lru_cache(maxsize=256)  # the same spec for the same file, which `_load` then loads once
def npz_spec(file: NpzFile) -> DatasetSpec:
    """Return the spec of a file of the data folder, under the file's own name."""
    return DatasetSpec(file.path.stem, file.load, f"{file.path.name} of the data folder", files=file)


def load_dataset(name: str, image_size: int | None = None, features: str | None = None) -> Dataset:
    """Return a dataset, loaded once per process.

    Args:
        name: as for `find_dataset`: a registered name, or NAME for NAME.npz in the data folder.
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


def prepare_dataset(dataset: str | Dataset, image_size: int | None, features: str | None) -> Dataset:
    """Return a dataset, given by name or itself, as `load_dataset` does."""
    if isinstance(dataset, str):
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
