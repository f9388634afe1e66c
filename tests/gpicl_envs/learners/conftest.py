"""Learners in a module of the user's own."""

import sys
from pathlib import Path

import pytest

PLUG_IN = """
import torch
from gpicl_envs import Learner

class Parrot(Learner):
    "Predicts the label before."
    def __init__(self, n_features=784, n_classes=10, volume=1.0):
        super().__init__(n_features, n_classes)
        self.volume = volume
    def step(self, state, x, y_previous):
        return self.volume * y_previous, state

class Frequent(Learner):
    "Counts, at all positions at once."
    def predict(self, x, y):
        labels = torch.nn.functional.one_hot(y, self.n_classes).float()
        return labels.cumsum(1) - labels
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "somebodys_agents.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "somebodys_agents"
    sys.modules.pop("somebodys_agents", None)
