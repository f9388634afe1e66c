"""Arrays that the user hands over, and the environment that stands for any of them."""

from collections.abc import Callable
from typing import Any

from gpicl_envs.datasets.base import DatasetSpec
from gpicl_envs.datasets.checks import check_arrays
from gpicl_envs.datasets.dataset import Dataset
from gpicl_envs.datasets.npz import NpzFile, find_npz, load_npz
from gpicl_envs.datasets.storage import Location, data_folder
from gpicl_envs.errors import MissingDataError

ARRAY = "Array"


def array_spec(name: str, x: object, y: object, x_test: object = None, y_test: object = None) -> DatasetSpec:
    """Return the registry's line for arrays; they are checked and copied here, so later changes do not reach it.

    Args:
        name: of the dataset.
        x: (M, ...) uint8 or finite floating-point inputs, a NumPy array or a torch tensor.
        y: (M,) integer labels.
        x_test: inputs of the test split, of the same shape; by default there is none.
        y_test: its labels. The labels of both splits together are exactly 0 … K − 1.

    Raises:
        ValueError: the name is empty, or the arrays are not a dataset; the message says what was given.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"A dataset's name is text, given {name!r}.")
    given: dict[str, Any] = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    checked = check_arrays(name, {key: value for key, value in given.items() if value is not None}, copy=True)
    dataset = Dataset.from_arrays(name, checked)
    return DatasetSpec(
        name,
        _returning(dataset),
        "arrays given in Python",
        shape=dataset.shape,
        n_classes=dataset.n_classes,
        n_train=len(dataset.y["train"]) if "train" in dataset.y else None,
        n_test=len(dataset.y["test"]) if "test" in dataset.y else None,
    )


def _returning(dataset: Dataset) -> Callable[[], Dataset]:
    return lambda: dataset


class ArrayFiles:
    """`GPICL-Array-v0` without `dataset=`: Array.npz of the data folder, for those who put one there."""

    def location(self) -> Location | None:
        """Return Array.npz, or None."""
        file = find_npz(ARRAY)
        return None if file is None else file.location()

    def load(self) -> Dataset:
        """Return the dataset in Array.npz; raises `MissingDataError`, which says how to name another."""
        return load_npz(self._require().path, ARRAY)

    def verify(self) -> None:
        """Check Array.npz; raises as `load` does."""
        self._require().verify()

    def _require(self) -> NpzFile:
        file = find_npz(ARRAY)
        if file is None:
            raise MissingDataError(
                "GPICL-Array-v0 has no data of its own: name them, as in gymnasium.make('GPICL-Array-v0', "
                "dataset='mine') after gpicl_envs.register_dataset('mine', x, y); or give a gpicl_envs.Dataset, a "
                f"registered name, or NAME for a file NAME.npz in {data_folder()} (or in GPICL_DATA_DIR)."
            )
        return file


_FILES = ArrayFiles()
SPEC = DatasetSpec(
    ARRAY, _FILES.load, "your own, by dataset=: arrays, a NAME.npz file, any registered name", files=_FILES
)
