"""Jobs in processes of this machine, each in one of its own: nothing that a job does to its process reaches another.

A job that takes too long is killed; one whose process dies is run again.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from threading import Event
from typing import Any

from gpicl_envs.errors import one_line
from gpicl_envs.jobs.job import ATTEMPTS, DIED, Job, Outcome, Runner, end_with_parent, run_job, too_long

GRACE = 5.0  # seconds that a process has to end after its job
LIBRARIES = ("scipy.stats", "sklearn.datasets")  # slow to import, and needed by most jobs at some point

in_job = Event()  # set in a process that does a job


@contextmanager
def local_runner(workers: int, time_limit: float) -> Iterator[Runner]:
    """Yield a runner of jobs, `workers` at a time, whose processes end with the block.

    Where the system can fork, a process starts in milliseconds, as a copy of one that has imported the modules of the
    jobs and done nothing else. A job that needs another process can use a runner, too, before it does anything else:
    that process is a copy of its own.

    Args:
        workers: how many jobs run at the same time.
        time_limit: seconds that a job may take.
    """
    running: list[_Process] = []

    def run(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        context = _context(jobs)
        waiting = [(job, 1) for job in reversed(jobs)]
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Process.start(context, *waiting.pop(), time_limit))
            for process in _finished(running):
                running.remove(process)
                outcome = process.end(time_limit)
                if outcome is None and process.attempt < ATTEMPTS:
                    waiting.append((process.job, process.attempt + 1))
                else:
                    yield process.job, outcome or Outcome(error=DIED)

    try:
        yield run
    finally:
        for process in running:  # if stopped early, by Ctrl-C or by the caller
            process.kill()


@dataclass
class _Process:
    """A job at work in a process of its own."""

    job: Job
    attempt: int
    process: Any
    receiver: Connection
    deadline: float

    @classmethod
    def start(cls, context: Any, job: Job, attempt: int, time_limit: float) -> "_Process":
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job, sender, dict(os.environ)))
        process.start()
        sender.close()
        return cls(job, attempt, process, receiver, time.monotonic() + time_limit)

    def end(self, time_limit: float) -> Outcome | None:
        """End the process; return its job's outcome, None if it died without one."""
        try:
            if self.receiver.poll():
                outcome: Outcome = self.receiver.recv()
                self.process.join(GRACE)
                return outcome
            late = self.process.exitcode is None and time.monotonic() >= self.deadline
            return too_long(time_limit) if late else None
        except EOFError:
            return None
        except Exception as error:  # such as an outcome of a class that only the job's process knows
            return Outcome(error=one_line(error))
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.receiver.close()


def _context(jobs: Sequence[Job]) -> Any:
    if in_job.is_set() and "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*sorted({type(job).__module__ for job in jobs}), *LIBRARIES])
    return context


def _finished(running: Sequence[_Process]) -> list[_Process]:
    """Wait until a job has an outcome, or its process has ended or is out of time; return all of that kind."""
    first = min(process.deadline for process in running)
    handles = [handle for process in running for handle in (process.receiver, process.process.sentinel)]
    ready = wait(handles, timeout=max(0.0, first - time.monotonic()))
    now = time.monotonic()
    return [p for p in running if p.receiver in ready or p.process.sentinel in ready or p.deadline <= now]


def _work(job: Job, sender: Connection, environment: dict[str, str]) -> None:
    """Do a job in this process, send its outcome, and end without waiting for threads that it left behind."""
    os.environ.clear()
    os.environ.update(environment)
    in_job.set()
    end_with_parent.cache_clear()  # of the job whose copy this process may be
    try:
        outcome = run_job(job)
    except BaseException as error:
        outcome = Outcome(error=one_line(error))
    sender.send(outcome)
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)
