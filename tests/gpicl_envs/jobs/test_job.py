import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_jobs import SmallJob

from gpicl_envs.jobs.job import Outcome, run_job, too_long


def test_a_job_is_run_and_one_that_was_stopped_names_the_option(tmp_path: Path):
    assert run_job(SmallJob("returns", tmp_path / "starts")) == Outcome("returns")
    stopped = too_long(3600.0)
    assert stopped.value is None and stopped.error == "it took longer than the time limit (--time-limit) of 3600 s"


PARENT = """
import multiprocessing
import time
from small_jobs import tells_its_process

if __name__ == "__main__":
    here, there = multiprocessing.Pipe()
    multiprocessing.get_context("{method}").Process(target=tells_its_process, args=[there]).start()
    print(here.recv(), flush=True)
    time.sleep(100)
"""


def is_alive(process: int) -> bool:
    """Whether it runs: a process that ended and that nobody waited for counts as ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path, method: str, number: signal.Signals):
    program = tmp_path / "parent.py"
    program.write_text(PARENT.replace("{method}", method))
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, env=paths)
    child = int(parent.stdout.readline())
    try:
        os.kill(child, signal.SIGINT)  # Ctrl-C reaches all processes of a terminal; only the parent acts on it
        time.sleep(0.1)
        assert is_alive(child)
        parent.send_signal(number)
        deadline = time.monotonic() + 5
        while is_alive(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_alive(child)
    finally:
        for process in (child, parent.pid):
            if is_alive(process):
                os.kill(process, signal.SIGKILL)
        parent.wait(10)


def test_a_result_that_cannot_be_pickled_is_a_failure(tmp_path: Path):
    """Also one for which pickle raises an AttributeError, with which the process would die."""
    for title in ("cannot be pickled", "is local"):
        outcome = run_job(SmallJob(title, tmp_path / "starts"))
        assert outcome.value is None and "its result cannot be pickled (" in outcome.error
