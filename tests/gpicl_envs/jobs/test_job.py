from pathlib import Path

import pytest
from small_jobs import SmallJob

from gpicl_envs.jobs.job import Outcome, one_line, run_job, too_long


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no\n  such   weight\n"), "ValueError: no such weight"),
        (KeyError("a"), "KeyError: 'a'"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (Unprintable(), "Unprintable"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_exception_becomes_one_line(error: Exception, line: str):
    assert one_line(error) == line


def test_a_job_is_run_and_one_that_was_stopped_names_the_option(tmp_path: Path):
    assert run_job(SmallJob("returns", tmp_path / "starts")) == Outcome("returns")
    stopped = too_long(3600.0)
    assert stopped.value is None and stopped.error == "it took longer than the time limit (--time-limit) of 3600 s"


def test_a_long_message_loses_its_middle():
    line = one_line(ValueError("first " + "no " * 3_000_000 + "last"))
    assert line.startswith("ValueError: first no") and line.endswith("no last") and len(line) < 700
    assert "(8,999,410 more characters)" in line
