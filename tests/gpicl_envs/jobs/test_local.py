import time
from pathlib import Path

import pytest
from small_jobs import SmallJob, TracelessJob

from gpicl_envs.jobs.job import ATTEMPTS, DIED
from gpicl_envs.jobs.local import local_runner


def test_every_job_has_an_outcome_whatever_its_process_does(tmp_path: Path):
    titles = ("returns", "sleeps", "dies", "dies at first", "cannot be pickled", "is local")
    jobs = [SmallJob(title, tmp_path / title) for title in titles]
    with local_runner(2, 5.0) as run:
        found = {job.title: outcome for job, outcome in run(jobs)}
    assert found.keys() == set(titles)
    assert found["returns"].value == "returns" and found["dies at first"].value == "dies at first"
    assert found["sleeps"].error == "it took longer than the time limit (--time-limit) of 5 s"
    assert found["dies"].error == DIED
    assert all("cannot be pickled" in found[title].error for title in ("cannot be pickled", "is local"))
    starts = {title: (tmp_path / title).read_text().count(title) for title in titles}
    assert starts == {"dies": ATTEMPTS, "dies at first": 2} | {
        title: 1 for title in titles if title not in ("dies", "dies at first")
    }


def test_a_runner_that_is_left_early_ends_its_processes(tmp_path: Path):
    start = time.monotonic()
    with local_runner(1, 1000.0) as run:
        outcomes = run([SmallJob("returns", tmp_path / "a"), SmallJob("sleeps", tmp_path / "b")])
        assert next(outcomes)[1].value == "returns"
    assert time.monotonic() - start < 100  # not the 1,000 s of the sleeper


def test_every_job_finds_a_process_that_no_other_has_touched(tmp_path: Path):
    """Also those whose process is at work at the same time, and those that run again."""
    with local_runner(2, 60.0) as run:
        outcomes = [outcome for _, outcome in run([TracelessJob(str(n)) for n in range(4)])]
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert len({outcome.value for outcome in outcomes}) == 4  # process ids


def test_jobs_see_the_environment_and_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Though the process that they are copies of may have started earlier."""
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.setenv("GPICL_DATA_DIR", str(folder))
        monkeypatch.chdir(folder)
        with local_runner(1, 60.0) as run:
            ((_, outcome),) = run([SmallJob("where", tmp_path / "starts")])
        assert outcome.value == (str(folder), str(folder))


@pytest.mark.parametrize("title", ["exits", "leaves a thread", "presses Ctrl-C", "closes all files"])
def test_a_job_that_ends_its_process_or_would_keep_it_is_over_in_seconds(title: str, tmp_path: Path):
    start = time.monotonic()
    with local_runner(1, 500.0) as run:
        found = {job.title: outcome for job, outcome in run([SmallJob(t, tmp_path / t) for t in (title, "returns")])}
    assert found["returns"].value == "returns"
    assert found[title].value == "leaves a thread" or found[title].error in (DIED, "KeyboardInterrupt")
    assert time.monotonic() - start < 60
