"""Independent pieces of work and their outcomes; `local.py` and `ray.py` run them."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from gpicl_envs.errors import one_line

ATTEMPTS = 3  # to run a job whose process dies
DIED = f"its process died, {ATTEMPTS} times: out of memory, or a crash of native code"


@dataclass(frozen=True)
class Outcome:
    """What a job returned, or why it failed."""

    value: Any = None
    error: str | None = None


class Job(Protocol):
    """A piece of work that can be pickled, does not raise, and may be run again."""

    @property
    def title(self) -> str:
        """For progress and errors."""
        ...

    def run(self) -> Outcome:
        """Do the work, in this process."""
        ...


# Runs all jobs, and yields each with its outcome as it finishes.
Runner = Callable[[Sequence[Any]], Iterator[tuple[Any, Outcome]]]


def run_job(job: Job) -> Outcome:
    """Do a job: the function that other processes and machines call."""
    end_with_parent()
    outcome = job.run()
    try:
        pickle.dumps(outcome)
    except Exception as error:  # of any kind: an object may have its own way to be pickled
        return Outcome(error=f"its result cannot be pickled ({one_line(error)})")
    return outcome


@cache
def end_with_parent() -> None:
    """Let this process end when the one that started it does, even if that is killed; leave Ctrl-C to that one.

    Without this, a killed run leaves processes that go on with its jobs, in the same folders as the run that follows.
    In a process that `multiprocessing` did not start, nothing happens.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def too_long(time_limit: float) -> Outcome:
    """Return the outcome of a job that was stopped after `time_limit` seconds."""
    return Outcome(error=f"it took longer than the time limit (--time-limit) of {time_limit:g} s")
