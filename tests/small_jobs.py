"""Runners without processes, and jobs whose processes sleep or die: what tests of jobs share.

A process that a runner starts imports this module, but cannot import a file of tests.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gpicl_envs.jobs.job import Outcome, run_job


def inline(jobs):
    """A runner in this process, for tests in which processes do not matter."""
    for job in jobs:
        yield job, job.run()


def fails(jobs):
    """A runner of which every job fails."""
    for job in jobs:
        yield job, Outcome(error="no memory")


@dataclass(frozen=True)
class SmallJob:
    """Returns its title and adds a line to a file, then behaves as its title says."""

    title: str
    starts: Path

    def run(self) -> Outcome:
        with open(self.starts, "a", encoding="utf-8") as file:
            file.write(f"{self.title}\n")
        first = self.starts.read_text(encoding="utf-8").count(self.title) == 1
        if self.title == "sleeps":
            time.sleep(1000)
        if self.title == "dies" or (self.title == "dies at first" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.title == "where":
            return Outcome((os.environ["GPICL_DATA_DIR"], os.getcwd()))
        if self.title == "exits":
            os._exit(0)
        if self.title == "leaves a thread":
            threading.Thread(target=time.sleep, args=[1000]).start()
        if self.title == "presses Ctrl-C":
            raise KeyboardInterrupt
        if self.title == "closes all files":
            os.closerange(0, 1000)
        if self.title == "cannot be pickled":
            return Outcome(threading.Lock())
        if self.title == "is local":
            return Outcome(lambda: 0)
        return Outcome(self.title)


@dataclass(frozen=True)
class TracelessJob:
    """Fails if another job has left a trace in this process; leaves one, and returns the process's id."""

    title: str

    def run(self) -> Outcome:
        if hasattr(os, "trace"):
            return Outcome(error=f"process {os.getpid()} was used before")
        os.trace = self.title
        return Outcome(os.getpid())


@dataclass(frozen=True)
class TellingJob:
    """Sends the number of its process, and sleeps."""

    pipe: Connection

    title = "tells"

    def run(self) -> Outcome:
        self.pipe.send(os.getpid())
        time.sleep(1000)
        return Outcome()


def tells_its_process(pipe: Connection) -> None:
    """Run a `TellingJob`, in a process of its own."""
    run_job(TellingJob(pipe))
