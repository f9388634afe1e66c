import os
from dataclasses import dataclass, replace

import pytest

from gpicl_envs.commands.arguments import processes, runner, unchecked


def test_every_core_works_by_default_and_a_gpu_has_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert processes(None, "cpu") == (8, 1) and processes(2, "cpu") == (2, 4) and processes(16, "cpu") == (16, 1)
    assert processes(None, "cuda") == (1, 8)
    with pytest.raises(ValueError, match="workers=0"):
        processes(0, "cpu")


def test_jobs_run_in_processes_unless_a_ray_cluster_is_named():
    with runner(1, 10.0, None, "cpu") as run:
        assert list(run([])) == []


def test_unchecked_defaults_hold_the_same_values_and_check_nothing():
    @dataclass(frozen=True)
    class Positive:
        value: int = 1

        def __post_init__(self) -> None:
            if self.value <= 0:
                raise ValueError("not positive")

    made = unchecked(Positive(3))
    assert isinstance(made, Positive) and vars(made) == {"value": 3}
    assert replace(made, value=-1).value == -1
    with pytest.raises(ValueError, match="not positive"):
        Positive(**vars(replace(made, value=-1)))
