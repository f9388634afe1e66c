import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import gymnasium
import numpy as np
import pytest
import torch

from gpicl_envs.evaluation import provenance as module
from gpicl_envs.evaluation.provenance import (
    command_line,
    machine_name,
    package_versions,
    processor_name,
    provenance,
    source_commit,
)


@pytest.fixture
def no_cache() -> Iterator[None]:
    source_commit.cache_clear()
    yield
    source_commit.cache_clear()


def git(folder, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_is_that_of_the_source_and_a_change_is_marked(no_cache, tmp_path, monkeypatch: pytest.MonkeyPatch):
    source = tmp_path / "provenance.py"
    source.write_text("a = 1\n")
    monkeypatch.setattr(module, "__file__", str(source))
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "empty")
    assert source_commit() is None  # a checkout of something else, into which the package was installed
    git(tmp_path, "add", "provenance.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    source_commit.cache_clear()
    commit = source_commit()
    assert commit == git(tmp_path, "rev-parse", "--short=12", "HEAD").strip()
    source.write_text("a = 2\n")
    assert source_commit() == commit  # asked once a process
    source_commit.cache_clear()
    assert source_commit() == f"{commit}+"


def test_there_is_no_commit_outside_git_or_without_it(no_cache, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert source_commit() is None
    source_commit.cache_clear()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source_commit() is None


def test_the_command_line_has_the_program_s_name_without_its_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/home/someone/bin/gpicl", "evaluate", "--learners", "knn,k=3"])
    assert command_line() == "gpicl evaluate --learners knn,k=3"


def test_the_versions_are_those_that_run():
    versions = package_versions()
    assert versions.keys() == {"gpicl-envs", "torch", "numpy", "gymnasium", "python"}
    assert (versions["numpy"], versions["gymnasium"]) == (np.__version__, gymnasium.__version__)
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert versions["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


def test_the_machine_is_a_processor_with_its_cores_or_a_gpu(monkeypatch: pytest.MonkeyPatch):
    assert machine_name("cpu") == processor_name() and f", {os.cpu_count()} cores" in processor_name()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"a GPU, {device}")
    assert machine_name("cuda:1") == "a GPU, cuda:1"

    def fails(device: str) -> str:
        raise RuntimeError("no driver")

    monkeypatch.setattr(torch.cuda, "get_device_name", fails)
    assert machine_name("cuda") == "no cuda here"


def test_a_result_is_dated_in_utc():
    made = provenance("cpu", "gpicl evaluate")
    age = datetime.now(UTC) - datetime.fromisoformat(made.date)
    assert 0 <= age.total_seconds() < 60 and made.date.endswith("+00:00")
    assert (made.device, made.command, made.machine) == ("cpu", "gpicl evaluate", processor_name())
