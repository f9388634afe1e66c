import pytest
import torch

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner


def test_predict_is_derived_from_step(plug_in: str):
    y = torch.tensor([[2, 0, 1]])
    logits = make_learner(f"{plug_in}:Parrot", n_classes=3, volume=2.0).predict(torch.zeros(1, 3, 784), y)
    assert logits.tolist() == [[[0, 0, 0], [0, 0, 2], [2, 0, 0]]]


def test_step_is_derived_from_predict(plug_in: str):
    learner = make_learner(f"{plug_in}:Frequent", n_features=1, n_classes=3)
    state, previous = learner.start(1), torch.zeros(1, 3)
    rows = []
    for label in (2, 2, 1):
        logits, state = learner.step(state, torch.zeros(1, 1), previous)
        rows.append(logits[0].tolist())
        previous = torch.eye(3)[[label]]
    assert rows == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
    assert learner.state_size(3) == 6


def test_a_step_that_returns_the_state_first_is_refused():
    def step(self, state, x, y_previous):
        return (state,), torch.zeros(len(x), 3)

    swapped = type("Swapped", (Learner,), {"step": step})(4, 3)
    with pytest.raises(TypeError, match=r"Swapped.step returned a tuple first: return \(logits, state\)"):
        swapped.predict(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.int64))


def test_a_learner_needs_predict_or_step():
    with pytest.raises(TypeError, match="overrides neither predict"):
        type("Empty", (Learner,), {})
