import os
import signal
from pathlib import Path

import torch
from small_training import QUICK, small_env, small_learner, weights

from gpicl_agents.training.checkpoint import latest_checkpoint
from gpicl_agents.training.supervised import Progress, train


def test_an_interrupt_saves_and_stops_and_the_run_goes_on(tmp_path: Path):
    whole, part = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> None:
        if progress.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    progress = train(part, small_env(), QUICK, folder=tmp_path / "part", report=interrupt)
    assert (progress.step, progress.stopped) == (7, "interrupted") and signal.getsignal(signal.SIGINT) is before
    assert latest_checkpoint(tmp_path / "part").name == "step-00000007"
    again = small_learner(seed=5)
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))
