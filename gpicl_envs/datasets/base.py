"""The `Dataset` that every source is turned into, and the registry of sources."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.errors import UnknownNameError, check_integer

SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and labels of a base dataset, in memory, by split.

    Args:
        name: the registered name.
        x: split → (M, *shape) uint8 or float32 inputs.
        y: split → (M,) int64 labels in 0 … n_classes − 1.
        n_classes: number of base classes.
        with_replacement: an episode may show an item twice (`Random`).
        bayes_accuracy: the best accuracy that any learner can reach, where it is known.
    """

    name: str
    x: dict[str, NDArray[Any]]
    y: dict[str, NDArray[np.int64]]
    n_classes: int
    with_replacement: bool = False
    bayes_accuracy: float | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (height, width) or (height, width, channels) for images, (N_x,) otherwise."""
        return next(iter(self.x.values())).shape[1:]

    @property
    def n_inputs(self) -> int:
        """N_x, the number of values in one input."""
        return int(np.prod(self.shape))

    @cached_property
    def moments(self) -> tuple[float, float]:
        """One mean and one standard deviation over all examples of both splits and all pixels (z-normalisation)."""
        count, total, squares = 0, 0.0, 0.0
        for x in self.x.values():
            for rows in np.array_split(x, max(1, len(x) // 4096)):
                values = rows.astype(np.float64)
                count, total, squares = count + values.size, total + values.sum(), squares + np.square(values).sum()
        mean = total / count
        return float(mean), float(np.sqrt(squares / count - mean**2))

    def split(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return (M, N_x) inputs and (M,) labels of the split `"train"` or `"test"`."""
        if name not in self.x:
            raise UnknownNameError(f"split of {self.name}", name, self.x)
        return self.x[name].reshape(len(self.x[name]), -1), self.y[name]

    def resized(self, image_size: int) -> "Dataset":
        """Return the same dataset with square images of `image_size` pixels a side, by area averaging."""
        check_integer("image_size", image_size, 1)
        if len(self.shape) not in (2, 3):
            raise ValueError(
                f"image_size={image_size} needs images, but an input of {self.name} has shape {self.shape}."
            )
        return replace(self, x={name: _area_resize(x, image_size) for name, x in self.x.items()})


def _area_resize(x: NDArray[Any], size: int) -> NDArray[np.float32]:
    """(M, H, W[, C]) → (M, size, size[, C])."""
    import torch
    from torch.nn.functional import interpolate

    images = torch.from_numpy(x).float()
    images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)
    small = interpolate(images, size=(size, size), mode="area")
    return (small.squeeze(1) if x.ndim == 3 else small.permute(0, 2, 3, 1)).contiguous().numpy()


@dataclass(frozen=True)
class DatasetSpec:
    """One line of the registry: `load()` gives the arrays, and `GPICL-{name}-v0` is the environment's id."""

    name: str
    load: Callable[[], Dataset]
    description: str

    @property
    def env_id(self) -> str:
        """The environment's id."""
        return f"GPICL-{self.name}-v0"


DATASETS: dict[str, DatasetSpec] = {}


def register_dataset(spec: DatasetSpec) -> None:
    """Add a dataset; its name must be new (names are compared without case)."""
    if spec.name.lower() in (name.lower() for name in DATASETS):
        raise ValueError(f"Dataset {spec.name!r} is registered already: choose another name.")
    DATASETS[spec.name] = spec


def find_dataset(name: str) -> DatasetSpec:
    """Return the spec of a registered dataset, by its name in any case."""
    by_lower = {known.lower(): spec for known, spec in DATASETS.items()}
    if str(name).lower() not in by_lower:
        raise UnknownNameError("dataset", name, DATASETS)
    return by_lower[name.lower()]


def load_dataset(name: str, image_size: int | None = None) -> Dataset:
    """Return a registered dataset, loaded once per process.

    Args:
        name: a registered name, in any case.
        image_size: if given, images are resized to this many pixels a side by area averaging.
    """
    return _load(find_dataset(name), image_size)


@lru_cache(maxsize=8)
def _load(spec: DatasetSpec, image_size: int | None) -> Dataset:
    if image_size is not None:
        return _load(spec, None).resized(image_size)
    return spec.load()
