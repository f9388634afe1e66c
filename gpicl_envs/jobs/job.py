"""Independent pieces of work and their outcomes; `local.py` and `ray.py` run them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LONGEST = 600  # characters of a message in a record
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
    return job.run()


def too_long(time_limit: float) -> Outcome:
    """Return the outcome of a job that was stopped after `time_limit` seconds."""
    return Outcome(error=f"it took longer than the time limit (--time-limit) of {time_limit:g} s")


def shorten(text: str) -> str:
    """Return a text of at most `LONGEST` characters and a few words: one that is longer loses its middle."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … ({len(text) - LONGEST:,} more characters) … {text[-half:]}"


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type and its message, without its middle if it is long."""
    try:
        text = shorten(" ".join(str(error).split()))
    except Exception:  # a learner's own exception class may be broken too
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
