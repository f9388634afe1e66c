"""Where a result comes from: device, machine, command, date, versions, commit."""

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from gpicl_envs.errors import printable, shareable


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from.

    Args:
        device: where the learner computed: `"cpu"` or `"cuda"`.
        machine: the processor and its cores, or the GPU.
        command: what the user typed, without secrets and the home folder's path; empty if Python was called.
        date: of the record, in UTC (ISO 8601).
        versions: package → version.
        commit: of the source, with `+` if files were changed; None outside a git checkout.
    """

    device: str
    machine: str = ""
    command: str = ""
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None

    def __post_init__(self) -> None:
        for name in ("device", "machine", "command", "date"):
            object.__setattr__(self, name, shareable(getattr(self, name)))


def provenance(device: str, command: str = "") -> Provenance:
    """Return the provenance of a result that this process, or a job that it started, makes now."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Provenance(device, machine_name(device), command, date, package_versions(), source_commit())


def command_line() -> str:
    """Return what the user typed as one line for a shell, with the program's name instead of its path."""
    return shlex.join([Path(sys.argv[0]).name, *map(printable, sys.argv[1:])])


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("gpicl-envs", "torch", "numpy", "gymnasium")}
    return packages | {"python": sys.version.split()[0]}


@cache
def source_commit() -> str | None:
    """Return the commit of the source that runs, with `+` if files were changed; None outside a git checkout."""
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
    """Return the name of the GPU or processor behind `device`; this machine may lack the GPU that a cluster has."""
    if device.startswith("cuda"):
        import torch

        try:
            return torch.cuda.get_device_name(device)
        except (AssertionError, RuntimeError):  # raised by torch built without CUDA, and by torch without a driver
            return f"no {device} here"
    return processor_name()
