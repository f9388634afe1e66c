"""The registry of base datasets, and how a name becomes a `Dataset`."""

from functools import lru_cache
from pathlib import Path

from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import Dataset, DatasetSpec
from gpicl_envs.datasets.user import NpzFile, find_npz, npz_files, simple_name
from gpicl_envs.errors import UnknownNameError

DATASETS: dict[str, DatasetSpec] = {}
ARRAY_ID = "GPICL-Array-v0"  # shows whatever `dataset=` names, with or without an id of its own


def register_dataset(spec: DatasetSpec) -> None:
    """Add a dataset; its name must be new (names are compared without case, `_` and `-`)."""
    taken = _by_simple_name().get(simple_name(spec.name))
    if taken is not None:
        raise ValueError(f"Dataset {spec.name!r} is registered already, as {taken.name!r}: choose another name.")
    DATASETS[spec.name] = spec


def _by_simple_name() -> dict[str, DatasetSpec]:
    return {simple_name(name): spec for name, spec in DATASETS.items()}


def find_dataset(name: str) -> DatasetSpec:
    """Return the spec of a registered dataset, or of a file NAME.npz in the data folder.

    Args:
        name: compared without case, `_` and `-`.

    Raises:
        UnknownNameError: there is neither; the message lists both.
    """
    registered = _by_simple_name().get(simple_name(str(name)))
    if registered is not None:
        return registered
    file = find_npz(str(name))
    if file is None:
        hint = (
            f"To give your own: gpicl_envs.register_dataset(name, x, y), or NAME.npz in {data_folder()} "
            "(GPICL_DATA_DIR names another folder)."
        )
        raise UnknownNameError("dataset", name, {*DATASETS, *npz_files()}, hint)
    return npz_spec(file)


@lru_cache(maxsize=256)  # one spec a file, so that what was loaded by it is found again
def npz_spec(file: NpzFile) -> DatasetSpec:
    """Return the spec of a file of the data folder, under the file's own name."""
    return DatasetSpec(file.path.stem, file.load, f"{file.path.name} of the data folder", files=file)


def load_dataset(name: str, image_size: int | None = None, features: str | None = None) -> Dataset:
    """Return a dataset, loaded once per process.

    Args:
        name: a registered name or that of a NAME.npz in the data folder, without regard to case, `_` and `-`.
        image_size: if given, images are resized to this many pixels a side: by area averaging, or, with `features`,
            bilinearly to the size at which the network sees them.
        features: if given, images are replaced by what this frozen ImageNet network makes of them; see
            `gpicl_envs.datasets.features.EXTRACTORS`.

    Raises:
        UnknownNameError: no such dataset or extractor.
        MissingDataError: the dataset's files are not there.
        DamagedDataError: they are there, but are not what they should be.
    """
    return _load(find_dataset(name), data_folder(), image_size, features)


def prepare_dataset(dataset: str | Dataset, image_size: int | None, features: str | None) -> Dataset:
    """Return a dataset, named as for `load_dataset` or given itself, resized or replaced by features if asked for."""
    if isinstance(dataset, str):
        return load_dataset(dataset, image_size, features)
    if features is not None:
        return _features_of(dataset, features, image_size)
    return dataset if image_size is None else dataset.resized(image_size)


@lru_cache(maxsize=8)
def _load(spec: DatasetSpec, folder: Path, image_size: int | None, features: str | None) -> Dataset:
    """`folder` is part of what was asked for: in another data folder the same name is another file."""
    if image_size is None and features is None:
        return spec.load()
    return prepare_dataset(_load(spec, folder, None, None), image_size, features)


def _features_of(dataset: Dataset, features: str, image_size: int | None) -> Dataset:
    from gpicl_envs.datasets.features import extract_features  # needs torch, which listing datasets does not

    return extract_features(dataset, features, image_size)
