"""The data that tests use: real files if there are any, and small random ones for every dataset kept in files."""

import os
from pathlib import Path

import numpy as np

from gpicl_envs import DatasetSpec

# The user's data folder if there is one, else the folder beside the repository.
REAL_DATA = Path(os.environ.get("GPICL_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")


def small_arrays(spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Ten examples a class and split; the splits of Omniglot have different classes."""
    generator = np.random.default_rng(0)
    shape, n_classes = spec.shape or (5,), spec.n_classes or 10
    labels = {"train": np.arange(n_classes), "test": np.arange(n_classes)}
    if spec.name == "Omniglot":
        labels = {"train": np.arange(964), "test": np.arange(964, n_classes)}
    arrays = {}
    for split, classes in labels.items():
        arrays[f"y_{split}"] = classes.repeat(10)
        arrays[f"x_{split}"] = generator.integers(256, size=(10 * len(classes), *shape), dtype=np.uint8)
    return arrays


def small_npz(path: Path, **arrays) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.arange(30) % 3
    arrays = {"x_train": generator.integers(256, size=(30, 4, 4), dtype=np.uint8), "y_train": y} | arrays
    arrays = {name: value for name, value in arrays.items() if value is not None}
    np.savez_compressed(path, **arrays)
    return arrays


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def small_classes(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Six features and four classes."""
    return np.random.default_rng(0).normal(size=(count, 6)), np.arange(count) % 4
