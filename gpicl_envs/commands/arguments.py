"""What commands share: types of their parameters, and where jobs run."""

import os
from contextlib import AbstractContextManager
from typing import Annotated, Any, TypeVar

import tyro

from gpicl_envs.errors import check_integer

Assignments = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...", help_behavior_hint="")]


Config = TypeVar("Config")


class Words(tuple[str, ...]):
    """What follows a command's name, for a command that parses it itself: the type of its only parameter."""


def unchecked(config: Config) -> Config:
    """Return a dataclass's values without its checks, as defaults of a command that makes the dataclass itself.

    tyro would report the ValueError of a bad value in its own way; so, `gpicl` ends it with one line as any other.
    """
    kind = type(config)
    twin = type(kind.__name__, (kind,), {"__post_init__": lambda self: None})
    made: Config = twin(**vars(config))
    return made


def processes(workers: int | None, device: str) -> tuple[int, int]:
    """Return the number of processes (by default one per core of the CPU, or one on a GPU) and of threads in each."""
    cores = os.cpu_count() or 1
    count = check_integer("workers", (cores if device == "cpu" else 1) if workers is None else workers, 1)
    return count, max(1, cores // count)


def runner(workers: int, time_limit: float, ray: str | None, device: str) -> AbstractContextManager[Any]:
    """Return what runs jobs: processes of this machine, or the Ray cluster at an address."""
    if ray is None:
        from gpicl_envs.jobs.local import local_runner

        return local_runner(workers, time_limit)
    from gpicl_envs.jobs.ray import ray_runner

    return ray_runner(ray, time_limit, gpus=0 if device == "cpu" else 1)
