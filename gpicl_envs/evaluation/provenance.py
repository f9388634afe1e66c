"""Where a result comes from: versions, commit, machine."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("gpicl-envs", "torch", "numpy", "gymnasium")}
    return packages | {"python": sys.version.split()[0]}


@cache
def source_commit() -> str | None:
    """Return the commit of the source that runs, with `+` if it was changed; None outside a git checkout."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def processor_name() -> str:
    """Return the processor's name and the number of its cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def machine_name(device: str) -> str:
    """Return the name of the GPU, or of the processor, that `device` means; a machine may lack the cluster's GPU."""
    if device.startswith("cuda"):
        import torch

        try:
            return torch.cuda.get_device_name(device)
        except (AssertionError, RuntimeError):  # as torch built without CUDA, and torch without a driver, raise
            return f"no {device} here"
    return processor_name()
