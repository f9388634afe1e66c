"""Fixtures and settings of all tests: one thread a worker, separate folders for data, windows without a screen."""

import os
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
import virtual_device
from small_data import REAL_DATA, small_arrays

from gpicl_envs.datasets import DATASETS

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

if virtual_device.supports_virtual_device():
    if not torch.cuda.is_available():
        virtual_device.register()  # before the first backward pass of this process, which looks for all devices


# Whose tests take long: they run first, so that no worker waits for another at the end.
LONG = {"test_docs", "test_distributed", "test_sweep", "test_quickstart", "test_kill", "test_configurations"}
LONG |= {"test_onnx_export", "test_devices", "test_pages", "test_tour", "test_cli", "test_run"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first. Skip tests marked gpu, with the reason, if there is no GPU."""
    items.sort(key=lambda item: item.path.stem not in LONG)
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
            np.savez(folder / f"{spec.name}.npz", **small_arrays(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPICL_DATA_DIR", str(folder))
        patch.setenv("GPICL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


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
    """The folder of real files, only read; skips if there is none."""
    if not list(REAL_DATA.glob("*.npz")):
        pytest.skip(f"no real data in {REAL_DATA}: set GPICL_DATA_DIR to a folder that has some")
    monkeypatch.setenv("GPICL_DATA_DIR", str(REAL_DATA))
    return REAL_DATA


@pytest.fixture
def clean_registry() -> Iterator[None]:
    """Whatever a test registers is gone afterwards."""
    names, ids = set(DATASETS), set(gymnasium.registry)
    yield
    for name in set(DATASETS) - names:
        del DATASETS[name]
    for env_id in set(gymnasium.registry) - ids:
        del gymnasium.registry[env_id]
