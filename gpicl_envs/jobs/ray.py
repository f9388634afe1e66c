"""Jobs on a Ray cluster: a killed worker loses only its job, which runs again elsewhere.

The machines of the cluster see the same files and have the same packages. The process that starts the jobs writes the
records.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gpicl_envs.jobs.job import ATTEMPTS, DIED, Job, Outcome, Runner, run_job, too_long

POLL = 1.0  # seconds between checks of the time limit


@contextmanager
def ray_runner(address: str, time_limit: float, gpus: int = 0) -> Iterator[Runner]:
    """Yield a runner of jobs on a Ray cluster, connected for the block unless this process already is.

    Args:
        address: of the cluster; `"auto"` is the one running on this machine.
        time_limit: seconds that one job may take once it has started.
        gpus: number of GPUs that one job takes.

    Raises:
        ValueError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError:
        raise ValueError("A Ray cluster needs Ray: pip install 'gpicl-envs[cluster]'.") from None
    connects = not ray.is_initialized()
    if connects:
        try:
            paths = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
            environment = {"env_vars": {"PYTHONPATH": paths, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}}
            ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError) as error:
            raise ValueError(
                f"No Ray cluster answers at ray={address!r} ({error}): start one with "
                "`ray start --head`, or leave out --ray."
            ) from None
    # max_calls: each job in a process that no other has touched
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1, max_calls=1)(run_job)

    def run(jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        waiting = list(reversed(jobs))
        running: dict[Any, tuple[Job, float]] = {}
        slots = max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
        try:
            while waiting or running:
                while waiting and len(running) < slots:
                    job = waiting.pop()
                    running[remote.remote(job)] = job, time.monotonic()
                done, _ = ray.wait(list(running), timeout=POLL)
                for reference in done:
                    job, _ = running.pop(reference)
                    yield job, _outcome(ray, reference)
                for reference, (job, start) in list(running.items()):
                    if time.monotonic() - start > time_limit:
                        ray.cancel(reference, force=True)
                        del running[reference]
                        yield job, too_long(time_limit)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    try:
        yield run
    finally:
        if connects:
            ray.shutdown()


def _outcome(ray: Any, reference: Any) -> Outcome:
    try:
        return ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError):
        return Outcome(error=DIED)
