"""Jobs in processes of this machine: one that takes too long is killed, one that dies is run again."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager

from pebble import ProcessExpired, ProcessPool

from gpicl_envs.jobs.job import Job, Outcome, Runner, one_line, run_job

ATTEMPTS = 3
DIED = f"its process died, {ATTEMPTS} times: out of memory, or a crash of native code"
TOO_LONG = "it took longer than the time limit (--time-limit) of"


@contextmanager
def local_runner(workers: int, time_limit: float) -> Iterator[Runner]:
    """Give a runner of jobs in `workers` processes, which end with the block.

    Args:
        workers: processes at a time.
        time_limit: seconds that one job may take.
    """
    pool = ProcessPool(workers, context=multiprocessing.get_context("spawn"))

    def run(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        running: dict[Future[Outcome], tuple[Job, int]] = {}

        def start(job: Job, attempt: int) -> None:
            running[pool.schedule(run_job, args=[job], timeout=time_limit)] = job, attempt

        for job in jobs:
            start(job, 1)
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, attempt = running.pop(future)
                    outcome = _outcome(future, time_limit)
                    if outcome is None and attempt < ATTEMPTS:
                        start(job, attempt + 1)
                    else:
                        yield job, outcome or Outcome(error=DIED)
        finally:
            for future in running:  # stopped in the middle: by Ctrl-C, or by the reader of these outcomes
                future.cancel()

    try:
        yield run
    finally:
        pool.stop()
        pool.join()


def _outcome(future: Future[Outcome], time_limit: float) -> Outcome | None:
    """What a finished future holds; None where its process died."""
    try:
        return future.result()
    except TimeoutError:
        return Outcome(error=f"{TOO_LONG} {time_limit:g} s")
    except ProcessExpired:
        return None
    except Exception as error:  # such as an outcome that cannot be pickled
        return Outcome(error=one_line(error))
