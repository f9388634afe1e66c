from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import QUICK, small_env, small_learner, weights

from gpicl_agents.training import checkpoint
from gpicl_agents.training.checkpoint import MODEL, TRAINER, latest_checkpoint, load_learner, load_weights
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train


def test_numbers_of_numpy_in_the_settings_leave_a_checkpoint_that_can_be_read(tmp_path: Path):
    config = replace(QUICK, steps=2, learning_rate=np.logspace(-4, -2, 3)[1], weight_decay=np.float32(0.1))
    learner = small_learner()
    train(learner, small_env(), config, folder=tmp_path)
    assert torch.equal(weights(load_learner(tmp_path)), weights(learner))
    assert train(small_learner(), small_env(), replace(config, steps=3), folder=tmp_path, resume=True).step == 3


def test_a_checkpoint_is_not_replaced_where_a_report_stops_at_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """To replace it is to have none for a moment, in which the process could be killed."""

    def report(progress: Progress) -> None:
        progress.stopped = "enough" if progress.step == QUICK.checkpoint_every else ""

    removed: list[Path] = []
    monkeypatch.setattr(checkpoint, "_remove", removed.append)
    train(small_learner(), small_env(), QUICK, folder=tmp_path, report=report)
    assert not removed and latest_checkpoint(tmp_path).name == f"step-{QUICK.checkpoint_every:08d}"


@pytest.mark.parametrize("name", [MODEL, TRAINER])
def test_a_resume_that_is_refused_leaves_the_learner_as_it_was(tmp_path: Path, name: str):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    path = latest_checkpoint(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-5])
    learner = small_learner(seed=1).train()
    before = weights(learner).clone()
    with pytest.raises(ValueError, match=f"{name} is truncated"):
        train(learner, small_env(), QUICK, folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="holds a run already"):
        train(learner, small_env(), QUICK, folder=tmp_path)
    assert torch.equal(weights(learner), before) and learner.training


def test_weights_of_another_model_change_nothing(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    other = small_learner(n_layers=3, seed=1)
    before = weights(other).clone()
    with pytest.raises(ValueError, match="weights of another model"):
        load_weights(latest_checkpoint(tmp_path), other)
    assert torch.equal(weights(other), before)
