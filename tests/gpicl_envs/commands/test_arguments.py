import os

import pytest

from gpicl_envs.commands.arguments import processes, runner


def test_every_core_works_by_default_and_a_gpu_has_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert processes(None, "cpu") == (8, 1) and processes(2, "cpu") == (2, 4) and processes(16, "cpu") == (16, 1)
    assert processes(None, "cuda") == (1, 8)
    with pytest.raises(ValueError, match="workers=0"):
        processes(0, "cpu")


def test_jobs_run_in_processes_unless_a_ray_cluster_is_named():
    with runner(1, 10.0, None, "cpu") as run:
        assert list(run([])) == []
