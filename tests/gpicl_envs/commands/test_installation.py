import sys
from importlib.metadata import PackageNotFoundError, metadata, version

import pytest
import torch

from gpicl_envs import __version__
from gpicl_envs.commands import installation
from gpicl_envs.commands.installation import (
    DISTRIBUTION,
    EXTRAS,
    available_datasets,
    extras,
    installation_problems,
    required_packages,
    try_devices,
)


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Let packages (named with `_` for `-`) have other versions, or none."""

    def pretended(name: str) -> str:
        key = name.replace("-", "_")
        if key not in versions:
            return version(name)
        if (given := versions[key]) is None:
            raise PackageNotFoundError(name)
        return given

    monkeypatch.setattr(installation, "version", pretended)


def test_every_extra_says_what_it_brings():
    assert set(metadata(DISTRIBUTION).get_all("Provides-Extra") or []) == EXTRAS.keys()
    assert all(required_packages(name) for name in EXTRAS)


def test_the_packages_of_an_extra_are_those_that_it_adds():
    always, rl = ({package.name for package in required_packages(extra)} for extra in ("", "rl"))
    assert {"torch", "numpy", "gymnasium"} <= always and rl == {"sb3-contrib", "stable-baselines3", "torchrl"}


def test_the_metadata_fit_what_is_imported():
    """What pip is told to install, in the environment that the tests run in."""
    assert list(installation_problems()) == [] and version(DISTRIBUTION) == __version__


def test_missing_and_old_packages_are_problems(monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, tyro=None, numpy="1.2", torch="2.99.0a1+cpu", ray=None)
    assert list(installation_problems()) == ["numpy 1.2 is installed, but >=1.26 is needed", "tyro is missing"]
    state = {extra.name: extra.state for extra in extras()}
    assert state["cluster"] == "ray is missing" and state["human"] == "installed"


def test_another_version_of_the_code_than_was_installed_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, gpicl_envs="0.0.1")
    assert list(installation_problems()) == [
        f"the code is version {__version__}, but 0.0.1 was installed: run pip install again"
    ]
    pretend(monkeypatch, gpicl_envs=None)
    assert list(installation_problems()) == [
        "gpicl-envs runs from a folder without having been installed: pip install it"
    ]


def test_every_device_is_tried(monkeypatch: pytest.MonkeyPatch):
    devices = try_devices()
    assert devices[0].name == "cpu" and "cores" in devices[0].description
    assert len(devices) == 1 + (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    assert not any(device.problem for device in devices)
    monkeypatch.setattr(installation, "TRIAL_SHA256", "0" * 64)
    assert "draws other labels than other machines" in try_devices()[0].problem


def test_a_device_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    from gpicl_envs.tasks.classification import TaskDistribution

    def fail(*arguments: object, **more: object) -> None:
        raise RuntimeError("no kernel image\n is available")

    monkeypatch.setattr(TaskDistribution, "sample", fail)
    assert try_devices()[0].problem == "no episodes can be made on cpu (no kernel image is available)"


def test_without_torch_the_cpu_has_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (device,) = try_devices()
    assert "torch cannot be imported" in device.problem


def test_datasets_are_here_or_missing(own_data):
    here, missing = available_datasets()
    assert here["MNIST"] == "embedded" and "CIFAR10" in missing and "Array" not in {*here, *missing}
    (own_data / "usps.npz").touch()
    assert available_datasets()[0]["USPS"] == "npz"
