"""Independent pieces of work, and what became of them; where they run is the business of `isolation` and `cluster`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a value, or why there is none; neither where there is nothing to say."""

    value: Any = None
    error: str | None = None


class Job(Protocol):
    """A piece of work that can be pickled, does not raise, and may be run again."""

    @property
    def title(self) -> str:
        """For progress and errors."""
        ...

    def run(self) -> Outcome:
        """Do it, in this process."""
        ...


# Hands every job back with its outcome, in whatever order they finish.
Runner = Callable[[Sequence[Any]], Iterator[tuple[Any, Outcome]]]


def run_job(job: Job) -> Outcome:
    """Do a job in this process: what other processes and machines are told to call."""
    return job.run()


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type and its message."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a learner's own exception class may be broken too
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
