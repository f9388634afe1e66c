"""`Dataset`, the arrays of a base dataset, and `DatasetSpec`, what is known of a dataset before it is loaded."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.cache import Arrays
from gpicl_envs.errors import UnknownNameError, check_integer

if TYPE_CHECKING:
    import torch  # which listing datasets does not need

SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and labels of a base dataset, in memory, by split. All environments share the arrays, which are read-only.

    Args:
        name: the registered name.
        x: split → (M, *shape) uint8 or float32 inputs; copied, unless they are read-only already.
        y: split → (M,) int64 labels in 0 … n_classes − 1; copied in the same way.
        n_classes: number of base classes.
        with_replacement: whether an episode may show an item twice (`Random`).
        bayes_accuracy: the best accuracy that any learner can reach, if it is known.
        class_names: of the labels 0, 1, …, if they are known.
    """

    name: str
    x: dict[str, NDArray[Any]]
    y: dict[str, NDArray[np.int64]]
    n_classes: int
    with_replacement: bool = False
    bayes_accuracy: float | None = None
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the arrays form one dataset, and keep them read-only; raises ValueError."""
        if not self.x or set(self.x) != set(self.y) or not set(self.x) <= set(SPLITS):
            raise ValueError(
                f"Dataset {self.name} has inputs of {', '.join(self.x) or 'no split'} and labels of "
                f"{', '.join(self.y) or 'no split'}: x and y need the same splits, train and test or one of them."
            )
        for split, x in self.x.items():
            y = self.y[split]
            if x.dtype not in (np.uint8, np.float32) or y.dtype != np.int64:
                raise ValueError(
                    f"Dataset {self.name} has {x.dtype} inputs and {y.dtype} labels in {split}: give uint8 or float32 "
                    "inputs and int64 labels."
                )
            fits = y.shape == (len(x),) and x.shape[1:] == self.shape
            if not fits or not len(y) or y.min() < 0 or y.max() >= self.n_classes:
                raise ValueError(
                    f"Dataset {self.name} has in {split} inputs of shape {x.shape} and labels of shape {y.shape}: give "
                    f"(M, *{self.shape}) and (M,), M at least 1, and labels from 0 to {self.n_classes - 1}."
                )
        if self.class_names and len(self.class_names) != self.n_classes:
            raise ValueError(f"Dataset {self.name} has {self.n_classes} classes, but {len(self.class_names)} names.")
        for name in ("x", "y"):
            arrays = {split: _read_only(array) for split, array in getattr(self, name).items()}
            object.__setattr__(self, name, arrays)  # the class is frozen

    @classmethod
    def from_arrays(cls, name: str, arrays: Arrays, class_names: tuple[str, ...] = ()) -> "Dataset":
        """Return the dataset of checked arrays x_train, y_train, x_test, y_test (or one of the pairs)."""
        splits = [split for split in SPLITS if f"x_{split}" in arrays]
        x = {split: arrays[f"x_{split}"] for split in splits}
        y = {split: arrays[f"y_{split}"] for split in splits}
        return cls(name, x, y, 1 + max(int(labels.max()) for labels in y.values()), class_names=class_names)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Pickles do not keep that arrays are read-only."""
        self.__dict__.update(state)
        for array in (*self.x.values(), *self.y.values()):
            array.setflags(write=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Dataset":
        """Return itself: nothing changes a dataset, and gymnasium copies the arguments of every environment."""
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (height, width) or (height, width, channels) for images; any other is no image."""
        return next(iter(self.x.values())).shape[1:]

    @property
    def n_inputs(self) -> int:
        """N_x, the number of values in one input."""
        return int(np.prod(self.shape))

    @cached_property
    def moments(self) -> tuple[float, float]:
        """One mean and one standard deviation over all examples of both splits and all pixels (z-normalisation)."""
        pieces = [rows for x in self.x.values() for rows in np.array_split(x, max(1, len(x) // 4096))]
        count = sum(rows.size for rows in pieces)
        mean = sum(float(rows.sum(dtype=np.float64)) for rows in pieces) / count
        variance = sum(float(np.square(rows - mean, dtype=np.float64).sum()) for rows in pieces) / count
        if not 0 < variance < np.inf:
            raise ValueError(
                f"The inputs of {self.name} have mean {mean} and variance {variance}, so they cannot be normalised: "
                "give finite inputs that are not all equal."
            )
        return mean, variance**0.5

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of all inputs and labels, with their shapes and types: equal data, equal fingerprint."""
        digest = sha256()
        for split in sorted(self.x):
            for array in (self.x[split], self.y[split]):
                digest.update(f"{split} {array.dtype} {array.shape}".encode())
                for rows in np.array_split(array, max(1, len(array) // 4096)):
                    digest.update(np.ascontiguousarray(rows).data)
        return digest.hexdigest()

    def split(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return (M, N_x) inputs and (M,) labels of the split `"train"` or `"test"`."""
        if name not in self.x:
            hint = (
                f"For the {name} split, give x_{name} and y_{name} (to register_dataset, or in the .npz file); "
                f"without it, take split={next(iter(self.x))!r}: the evaluation protocol is then seen-task."
            )
            raise UnknownNameError(f"split of {self.name}", name, self.x, hint if name in SPLITS else "")
        return self.x[name].reshape(len(self.x[name]), -1), self.y[name]

    def resized(self, image_size: int) -> "Dataset":
        """Return the same dataset with square images of `image_size` pixels a side, by area averaging."""
        check_integer("image_size", image_size, 1)
        check_image_shape(f"image_size={image_size}", self.name, self.shape)
        return replace(self, x={name: _area_resize(x, image_size) for name, x in self.x.items()})


class Location(NamedTuple):
    """Where a dataset is: the kind of place (npz, torchvision, a form's, embedded, computed, memory), and its files."""

    kind: str
    paths: tuple[Path, ...] = ()


class Files(Protocol):
    """A dataset that is kept in files of the data folder."""

    def location(self) -> Location | None:
        """Return where the files are, or None if some are missing. Reads none of them."""

    def verify(self) -> bool:
        """Check the files; raises `DamagedDataError`. Return whether their checksums are known."""


def simple_name(name: str) -> str:
    """Return the name as names are compared: without case, `_` and `-`."""
    return name.casefold().replace("_", "").replace("-", "")


@dataclass(frozen=True)
class DatasetSpec:
    """One line of the registry: facts that can be listed without loading the dataset.

    Args:
        name: registered name.
        load: returns the dataset.
        description: one line.
        source: where it comes from.
        licence: "none stated" if its authors state none.
        shape: of one input: (height, width), (height, width, channels) or (N_x,); () if it depends on the user.
        n_classes: number of base classes.
        n_train: examples of the train split.
        n_test: examples of the test split.
        download_mb: megabytes that a download transfers.
        kept: where data without files are: embedded (in a package), computed, or memory.
        files: the dataset's files in the data folder; None if it needs none.
    """

    name: str
    load: Callable[[], Dataset]
    description: str = ""
    source: str = ""
    licence: str = ""
    shape: tuple[int, ...] = ()
    n_classes: int | None = None
    n_train: int | None = None
    n_test: int | None = None
    download_mb: float | None = None
    kept: str = "embedded"
    files: Files | None = None

    @property
    def env_id(self) -> str:
        """The environment's id."""
        return f"GPICL-{self.name}-v0"

    @property
    def has_env_id(self) -> bool:
        """Whether the name can be part of an id; otherwise only `GPICL-Array-v0` with `dataset=` shows the dataset."""
        return re.fullmatch(r"[\w.-]+", self.name) is not None

    def location(self) -> Location | None:
        """Return where the data are, or None if they are missing. Loads nothing."""
        return self.files.location() if self.files is not None else Location(self.kept)


def is_image_shape(shape: tuple[int, ...]) -> bool:
    """Return whether an input of this shape is an image: (height, width), or that with 1, 3 or 4 channels last.

    A side of a single pixel makes it a series. Others, as images with channels first, are vectors of their values.
    """
    return len(shape) in (2, 3) and min(shape[:2]) > 1 and shape[2:] in ((), (1,), (3,), (4,))


def check_image_shape(argument: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an argument needs images and the inputs of a dataset have another shape."""
    if is_image_shape(shape):
        return
    first = len(shape) == 3 and is_image_shape((*shape[1:], shape[0]))
    remedy = " Move the channels to the end: numpy.moveaxis(x, 1, -1)." if first else ""
    raise ValueError(
        f"{argument} needs images (height, width) or (height, width, channels) with 1, 3 or 4 channels, but an input "
        f"of {name} has shape {shape}.{remedy}"
    )


def as_tensor(array: NDArray[Any]) -> "torch.Tensor":
    """Return an array of a dataset as a tensor on the CPU that shares its memory: only read it."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy if its owner can still write to it."""
    if array.flags.writeable:
        array = array.copy()
        array.setflags(write=False)
    return array


def _area_resize(x: NDArray[Any], size: int) -> NDArray[np.float32]:
    """(M, H, W[, C]) → (M, size, size[, C])."""
    from torch.nn.functional import interpolate

    images = as_tensor(x).float()
    images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)
    small = interpolate(images, size=(size, size), mode="area")
    return (small.squeeze(1) if x.ndim == 3 else small.permute(0, 2, 3, 1)).contiguous().numpy()
