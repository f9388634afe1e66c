"""What several commands share: types of parameters, and where jobs run."""

import os
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from rich.console import Console

from gpicl_envs.errors import check_integer, check_number, one_line, printable

Assignments = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...", help_behavior_hint="")]


Config = TypeVar("Config")


class Words(tuple[str, ...]):
    """The words after a command's name: the type of the only parameter of a command that parses them itself."""


def show(line: object, console: Console | None = None) -> None:
    """Print text as it is, neither coloured nor cut into lines that fit the terminal, but no control characters."""
    text = "\n".join(map(printable, str(line).split("\n")))
    (console or Console()).print(text, markup=False, highlight=False, soft_wrap=True)


def show_progress(line: str) -> None:
    """Print a line to standard error, apart from results."""
    show(line, Console(stderr=True))


def unchecked(config: Config) -> Config:
    """Return a dataclass's values without its checks, as defaults of a command that makes the dataclass itself.

    tyro would report the ValueError of a bad value in its own way; so, `gpicl` ends it with one line as any other.
    """
    kind = type(config)
    twin = type(kind.__name__, (kind,), {"__post_init__": lambda self: None})
    made: Config = twin(**vars(config))
    return made


@contextmanager
def one_line_errors(learner: str) -> Iterator[None]:
    """Turn any exception of a learner's own code into a LearnerCheckError that says where it was raised."""
    from gpicl_envs.learners.check import LearnerCheckError

    try:
        yield
    except (ValueError, AssertionError, OSError):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
        place = f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"
        raise LearnerCheckError(f"{learner} raised {one_line(error)} ({place}).") from error


def processes(workers: int | None, device: str) -> tuple[int, int]:
    """Return the number of processes (by default one per core of the CPU, or one on a GPU) and of threads in each."""
    cores = os.cpu_count() or 1
    count = check_integer("workers", (cores if device == "cpu" else 1) if workers is None else workers, 1)
    return count, max(1, cores // count)


def runner(workers: int, time_limit: float, ray: str | None, device: str) -> AbstractContextManager[Any]:
    """Return what runs jobs: processes of this machine, or the Ray cluster at an address."""
    check_number("time_limit", time_limit, 1)
    if ray is not None:  # a cluster may have a device that this machine lacks
        from gpicl_envs.jobs.ray import ray_runner

        return ray_runner(ray, time_limit, gpus=0 if device == "cpu" else 1)
    from gpicl_envs.jobs.local import local_runner
    from gpicl_envs.sampling.distribution import check_device

    check_device(device)
    return local_runner(workers, time_limit)
