import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from full_disk import full_disk

from gpicl_envs.datasets import files
from gpicl_envs.datasets.files import exclusive, replacing, write_text

HOLD = """
import sys, time
from gpicl_envs.datasets.files import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path: Path, is_folder: bool, monkeypatch):
    target = tmp_path / "out"
    target.mkdir() if is_folder else target.touch()
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(ValueError, match="out is in use by another process: wait until .* another one"):
            exclusive(target).__enter__()
        holder.send_signal(signal.SIGKILL)
    start = time.monotonic()
    with exclusive(target), exclusive(target):  # which its own process may hold twice
        assert time.monotonic() - start < 2


def test_the_end_of_a_killed_process_is_waited_for(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {holder.pid}"])
        with exclusive(tmp_path):
            assert holder.wait() == -signal.SIGKILL


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "first")
    write_text(path, "second")
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_text("thi")
        raise KeyboardInterrupt
    assert path.read_text() == "second" and os.listdir(path.parent) == ["file.txt"]


def test_a_full_disk_keeps_the_file_and_names_it(tmp_path: Path):
    write_text(tmp_path / "file.txt", "old")
    with full_disk(100), pytest.raises(OSError, match="file.txt cannot be written: File too large"):
        write_text(tmp_path / "file.txt", 1000 * "new")
    assert (tmp_path / "file.txt").read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file.deep.file.txt cannot be written: "):
        write_text(tmp_path / "file" / "deep" / "file.txt", "")
