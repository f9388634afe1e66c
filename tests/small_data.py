"""The data that tests use: real files where there are any, and small random ones for every dataset kept in files."""

import os
from pathlib import Path

import numpy as np

from gpicl_envs import DatasetSpec

# What the person who runs the tests has, else what lies beside the repository.
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
