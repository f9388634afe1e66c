"""What tests share: one thread a worker, folders of their own for data, windows without a screen."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gpicl_envs.datasets import DATASETS
from gpicl_envs.datasets.vision import VisionFiles

# The real files, where there are any: what the person who runs the tests has, else what lies beside the repository.
REAL_DATA = Path(os.environ.get("GPICL_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked gpu are skipped, with the reason, where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def data_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every id can be made: a folder with a small NAME.npz of random images for each dataset that is kept in files.

    No test writes into the user's own folders.
    """
    folder = tmp_path_factory.mktemp("data")
    for spec in DATASETS.values():
        if spec.files is not None:
            files = spec.files if isinstance(spec.files, VisionFiles) else None
            np.savez(folder / f"{spec.name}.npz", **small_arrays(files))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPICL_DATA_DIR", str(folder))
        patch.setenv("GPICL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def small_arrays(files: VisionFiles | None) -> dict[str, np.ndarray]:
    """Ten examples a class and split; the splits of Omniglot have different classes."""
    generator = np.random.default_rng(0)
    shape, n_classes = ((5,), 10) if files is None else (files.shape, files.n_classes)
    labels = {"train": np.arange(n_classes), "test": np.arange(n_classes)}
    if files is not None and files.name == "Omniglot":
        labels = {"train": np.arange(964), "test": np.arange(964, n_classes)}
    arrays = {}
    for split, classes in labels.items():
        arrays[f"y_{split}"] = classes.repeat(10)
        arrays[f"x_{split}"] = generator.integers(256, size=(10 * len(classes), *shape), dtype=np.uint8)
    return arrays


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, and an empty cache beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("GPICL_DATA_DIR", str(folder))
    monkeypatch.setenv("GPICL_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real files, only read; skips where there is none."""
    if not list(REAL_DATA.glob("*.npz")):
        pytest.skip(f"no real data in {REAL_DATA}: set GPICL_DATA_DIR to a folder that has some")
    monkeypatch.setenv("GPICL_DATA_DIR", str(REAL_DATA))
    return REAL_DATA
