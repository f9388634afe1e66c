"""Real processes on CPUs, which talk through gloo: of `accelerate launch` once, else of our own, which import less."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rank_jobs import RankJob

from gpicl_agents.training.distributed import Processes, local_device
from gpicl_envs.cli import main
from gpicl_envs.jobs.local import local_runner

BIN = Path(sys.executable).parent
OPTIONS = "train tiny --env GPICL-Digits-v0 --env-kwargs length=20 n_features=64 --evaluate-every 6".split()
LAUNCH = "launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no".split()


PORT = 20000 + os.getpid() % 20000  # workers of a parallel test run take other ports


def arguments(folder: Path, *more: object, options: list[str] = OPTIONS) -> list[str]:
    return [*options, "--out", str(folder), *map(str, more)]


def run(folder: Path, *more: object, processes: int = 1, options: list[str] = OPTIONS) -> None:
    line = tuple(arguments(folder, *more, options=options))
    if processes == 1:
        main(line)
        return
    with local_runner(processes, 240.0) as runner:
        for _, outcome in runner([RankJob(rank, processes, PORT, line) for rank in range(processes)]):
            assert outcome.error is None


def launch(folder: Path, *options: object) -> None:
    """Start two processes as a user does."""
    line = ["--main_process_port", str(PORT), "-m", "gpicl_envs.cli", *arguments(folder, *options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [str(BIN / "accelerate"), *LAUNCH, *line]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def losses(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.slow  # four processes begin, as `accelerate launch` begins them
def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path):
    """The same global batch; sums in another order. And a run of two is resumed on one, and the other way round."""
    run(tmp_path / "one", "--steps", 12)
    launch(tmp_path / "two", "--steps", 12)
    assert len(losses(tmp_path / "two")) == 12
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert losses(tmp_path / "two") != losses(tmp_path / "one")  # it really was split
    run(tmp_path / "one", "--steps", 16, "--resume", processes=2)
    run(tmp_path / "two", "--steps", 16, "--resume")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert len(losses(tmp_path / "one")) == 16


UNUSED = """
import torch
from gpicl_agents.models.transformer import Transformer

class Unused(Transformer):
    "Has a parameter that no prediction needs, and one that only every other one does."
    def __init__(self, n_features=784, n_classes=10, seed=0):
        super().__init__(n_features, n_classes, width=16, n_heads=1, input_rank=8, seed=seed)
        self.never, self.sometimes = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(1))
        self.calls = 0
    def predict(self, x, y):
        self.calls += self.training
        return super().predict(x, y) * (self.sometimes if self.calls % 2 else 1.0)
"""


def test_parameters_that_are_not_used_do_not_stop_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "unused.py").write_text(UNUSED)
    monkeypatch.syspath_prepend(tmp_path)
    options = "--learner", "unused:Unused", "--evaluate-every", 0, "--checkpoint-every", 0
    for processes in (1, 2):
        run(tmp_path / str(processes), *options, "--steps", 4, processes=processes)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), abs=1e-4)
    assert len(losses(tmp_path / "1")) == 4


def test_a_batch_is_shared_evenly(monkeypatch: pytest.MonkeyPatch):
    processes = Processes()
    assert (processes.count, processes.is_main) == (1, True)
    assert (processes.local_batch_size(8), processes.local_slice([1, 2])) == (8, [1, 2])
    processes.count, processes.rank = 2, 1
    assert (processes.local_batch_size(8), processes.local_slice([1, 2, 3, 4])) == (4, [3, 4])
    assert not processes.is_main
    with pytest.raises(ValueError, match="batch_size=9 cannot be split over 2 processes"):
        processes.local_batch_size(9)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device("cuda") == "cuda:1" and local_device("cpu") == "cpu"


@pytest.mark.slow
def test_two_processes_train_a_policy_from_rewards(tmp_path: Path):
    """Each plays problems of its own, and a run of two is resumed on one."""
    options = "train-rl bandit --env-kwargs length=8 --batch-size 16 --evaluate-problems 50 --evaluate-every 3".split()
    run(tmp_path / "two", "--steps", 4, processes=2, options=options)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 3, 4, 4]
    run(tmp_path / "two", "--steps", 6, "--resume", options=options)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 6 and all(0 < line["return"] < 8 for line in lines if "return" in line)
