"""Commands, killed ten times each at random moments: nothing is lost, nothing is false, all are resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kills import KILLS, LINES


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc").is_dir(), reason="needs os.fork and /proc")
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("command", LINES)
def test_a_command_that_is_killed_ten_times_ends_with_the_result_of_one_that_was_not(command: str, tmp_path: Path):
    script = Path(__file__).with_name("kills.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, command, str(tmp_path), "0"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["faults"] == []
    assert report["equal"] and report["finished runs"] >= 1 and report["kills"] == KILLS
    assert report["slowest stop"] < 15  # seconds, on a busy machine
