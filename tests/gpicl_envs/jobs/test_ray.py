import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_records import scored_record
from small_suites import cells

from gpicl_envs.jobs.local import local_runner
from gpicl_envs.jobs.ray import ray_runner
from gpicl_envs.suites.definitions import Suite
from gpicl_envs.suites.run import CellJob, benchmark


@pytest.mark.slow
def test_a_ray_cluster_of_two_workers_survives_a_kill_and_gives_the_same_records(suite: Suite, tmp_path: Path):
    ray = pytest.importorskip("ray", reason="needs the extra `cluster`")
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": paths}})
    try:
        with ray_runner("auto", 60.0) as run:
            records = cells(benchmark(suite, ["knn", "rogues:DiesOnce"], tmp_path / "ray.jsonl", run))
            (raised,) = run([CellJob("rogues:Raises", suite.cells[0], scored_record())])
        assert (tmp_path / "rogues.died").exists()
        assert raised[1].error == "KeyError: 'no such weight'"
        with ray_runner("auto", 3.0) as run:
            (late,) = run([CellJob("rogues:Sleeps", suite.cells[0], scored_record())])
        assert "time limit" in late[1].error
    finally:
        ray.shutdown()
    with local_runner(1, 60.0) as run:
        local = cells(benchmark(suite, ["knn", "rogues:DiesOnce"], tmp_path / "local.jsonl", run))
    assert records.keys() == local.keys()
    for key, record in records.items():
        assert record.status == "ok" and record.final_scores == local[key].final_scores
        assert np.allclose(record.nll, local[key].nll, atol=1e-4)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'gpicl-envs\[cluster\]'"), ray_runner("auto", 60.0):
        pass


def test_an_address_without_a_cluster_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch):
    """Other tests may run a cluster on this machine meanwhile."""
    ray = pytest.importorskip("ray", reason="needs the extra `cluster`")
    given: dict[str, Any] = {}

    def init(**options: Any) -> None:
        given.update(options)
        raise ConnectionError("no node")

    monkeypatch.setattr(ray, "init", init)
    message = r"No Ray cluster answers at ray='auto' \(no node\).*ray start --head"
    with pytest.raises(ValueError, match=message), ray_runner("auto", 60.0):
        pass
    assert given["address"] == "auto" and os.getcwd() in given["runtime_env"]["env_vars"]["PYTHONPATH"]
