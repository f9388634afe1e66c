import os
import signal
from pathlib import Path

import pytest
import torch
from small_training import QUICK, metrics, small_env, small_learner, weights

from gpicl_agents.training.checkpoint import latest_checkpoint
from gpicl_agents.training.interruption import interruptible
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops_and_the_run_is_resumed_to_the_same_result(tmp_path: Path, number: signal.Signals):
    """Also what was logged is the same: an interrupt adds no evaluation."""
    whole, part = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")
    before = signal.getsignal(number)

    def interrupt(progress: Progress) -> None:
        if progress.step == 6:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        train(part, small_env(), QUICK, folder=tmp_path / "part", report=interrupt)
    assert signal.getsignal(number) is before and not part.training
    assert latest_checkpoint(tmp_path / "part").name == "step-00000007"
    again = small_learner(seed=5)
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))
    logged = [[line | {"seconds": 0} for line in metrics(tmp_path / name)] for name in ("whole", "part")]
    assert logged[0] == logged[1]


def test_whoever_trains_is_stopped_too_even_after_the_last_step():
    def interrupt(progress: Progress) -> None:
        if progress.step == QUICK.steps:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(small_learner(), small_env(), QUICK, report=interrupt)


def test_a_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not stopped")


def test_without_a_signal_nothing_is_raised():
    with interruptible() as interrupted:
        assert not interrupted.is_set()
