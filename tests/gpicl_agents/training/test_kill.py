"""Runs that are killed with SIGKILL, at random moments and at every line of the writing of a checkpoint.

This file is also the script that does it: a process that has imported what training needs, with one thread, forks every
run, so that a kill does not cost an import. It trains nothing itself, so no thread of torch's is there to be lost in
a fork, and a forked run is as good as one started anew, and is killed by the same signal.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import gymnasium
import pytest
import torch

from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training import checkpoint
from gpicl_agents.training.checkpoint import load_learner, read_config, save_checkpoint
from gpicl_agents.training.supervised import TrainConfig, train

STEPS, KILLS = 30, 5  # ten kills of every command are in tests/test_kills.py
CONFIG = TrainConfig(steps=STEPS, warmup_steps=3, evaluate_every=0, checkpoint_every=1)


def weights(folder: Path) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(load_learner(folder).parameters())


def small_learner() -> Transformer:
    return Transformer(32, 10, width=16, n_heads=1, input_rank=8)


def small_env() -> Any:
    return gymnasium.make_vec("GPICL-Digits-v0", num_envs=4, n_features=32, length=10)


def train_in(folder: Path) -> None:
    """Train, or go on with, a small learner that writes a checkpoint after every step."""
    train(small_learner(), small_env(), CONFIG, folder=folder, resume=True)


def forked(run: Callable[[], object]) -> int:
    """Start a call in a process of its own, and return its number; it ends with code 0 if nothing is raised."""
    if pid := os.fork():
        return pid
    try:
        run()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def end_of(pid: int) -> int:
    """Wait, and return the exit code; −9 for one that was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def names(folder: Path) -> list[str]:
    return os.listdir(folder / "checkpoints") if (folder / "checkpoints").exists() else []


def kill_and_resume(folder: Path) -> dict[str, Any]:
    """Kill a run around every sixth step, every other time while a checkpoint is being written; then let it end."""
    moments, killed = random.Random(0), folder / "killed"
    ends, half_written = [end_of(forked(lambda: train_in(folder / "whole")))], 0
    for kill in range(KILLS):
        step = 5 * kill + moments.randrange(5)
        pid = forked(lambda: train_in(killed))
        while all(int(name[5:13]) < step for name in names(killed) or ["step-00000000"] if step):
            time.sleep(0.0005)
        if kill % 2:
            while not any(name.endswith(".partial") for name in names(killed)):
                pass
        else:
            time.sleep(moments.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        ends.append(end_of(pid))
        half_written += any(name.endswith(".partial") for name in names(killed))
    ends.append(end_of(forked(lambda: train_in(killed))))
    return {"ends": ends, "half_written": half_written}


def killed_at_line(folder: Path, step: int, line: int) -> None:
    """Write a checkpoint, and be killed before the given line, of those executed that write or remove."""
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code not in (save_checkpoint.__code__, checkpoint._write.__code__, checkpoint._remove.__code__):
            return None
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    save_checkpoint(folder, small_learner(), {"step": step}, {})
    sys.settrace(None)


def kill_at_every_line(folder: Path, step: int) -> list[int]:
    """Return the newest checkpoint's step after a kill at each line of writing one where there are steps 1 and 2."""
    template, trial, found = folder / f"template-{step}", folder / f"trial-{step}", []
    for before in (1, 2):
        save_checkpoint(template, small_learner(), {"step": before}, {})
    end = -signal.SIGKILL
    while end == -signal.SIGKILL:
        shutil.copytree(template, trial)
        end = end_of(forked(lambda: killed_at_line(trial, step, len(found))))
        load_learner(trial)
        found.append(read_config(checkpoint.find_checkpoint(trial))["step"])
        save_checkpoint(trial, small_learner(), {"step": 4}, {})
        assert not [name for name in names(trial) if name.endswith(".partial")]
        shutil.rmtree(trial)
    assert end == 0
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script reports, and its folder."""
    folder = tmp_path_factory.mktemp("kill")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)], env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"folder": folder}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_kills_and_resumes_end_with_the_same_bits(story: dict[str, Any]):
    assert story["ends"] == [0] + KILLS * [-signal.SIGKILL] + [0]
    assert story["half_written"] > 0  # some kills met a checkpoint that was being written
    whole, killed = (weights(story["folder"] / name) for name in ("whole", "killed"))
    assert torch.equal(whole, killed)
    lines = (story["folder"] / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_kill_at_any_line_of_writing_leaves_a_whole_checkpoint(story: dict[str, Any]):
    """Beside older ones the newest is the one before or the new one, in this order; also where it replaces itself."""
    beside, over = story["beside"], story["over"]
    assert beside == sorted(beside) and set(beside) == {2, 3} and len(beside) > 20
    assert set(over) == {1, 2} and over[0] == over[-1] == 2


if __name__ == "__main__":
    torch.set_num_threads(1)
    small_env()  # imports and reads what every run will need
    torch.optim.AdamW(small_learner().parameters(), fused=True)
    place = Path(sys.argv[1])
    told = kill_and_resume(place)
    checkpoint.sync = lambda path: None  # what a killed process wrote, the kernel still has
    print(json.dumps(told | {"beside": kill_at_every_line(place, 3), "over": kill_at_every_line(place, 2)}))
