import time
from pathlib import Path

from small_jobs import SmallJob

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
