"""What commands share."""

from contextlib import AbstractContextManager
from typing import Annotated, Any

import tyro

Assignments = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")]


def runner(workers: int, time_limit: float, ray: str | None, device: str) -> AbstractContextManager[Any]:
    """Return where jobs run: in processes of this machine, or on the Ray cluster at an address."""
    if ray is None:
        from gpicl_envs.isolation import local_runner

        return local_runner(workers, time_limit)
    from gpicl_envs.cluster import ray_runner

    return ray_runner(ray, time_limit, gpus=0 if device == "cpu" else 1)
