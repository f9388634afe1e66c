"""Jobs in processes of this machine: one that takes too long is killed, one that dies is run again."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager

from pebble import ProcessExpired, ProcessPool

from gpicl_envs.jobs.job import ATTEMPTS, DIED, Job, Outcome, Runner, one_line, run_job, too_long


@contextmanager
def local_runner(workers: int, time_limit: float) -> Iterator[Runner]:
    """Yield a runner of jobs in `workers` processes, which end with the block; a job may take `time_limit` seconds."""
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
            for future in running:  # if stopped early, by Ctrl-C or by the caller
                future.cancel()

    try:
        yield run
    finally:
        pool.stop()
        pool.join()


def _outcome(future: Future[Outcome], time_limit: float) -> Outcome | None:
    """The outcome of a finished future; None if its process died."""
    try:
        return future.result()
    except TimeoutError:
        return too_long(time_limit)
    except ProcessExpired:
        return None
    except Exception as error:  # such as an outcome that cannot be pickled
        return Outcome(error=one_line(error))
