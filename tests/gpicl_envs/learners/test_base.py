from typing import Any

import pytest
import torch
from model_checks import perturbed

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import find_class, learner_targets, make_learner


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


@pytest.mark.parametrize("n_classes", [4, 1])
@pytest.mark.parametrize("name", sorted(learner_targets()))
def test_a_query_is_predicted_as_the_next_example(name: str, n_classes: int):
    if n_classes == 1 and not find_class(learner_targets()[name]).predicts_values:
        pytest.skip("it only classifies")
    if n_classes == 4 and name in ("least-squares", "dmmse"):
        pytest.skip("it predicts values")
    learner: Any = make_learner(name, n_features=12, n_classes=n_classes)
    if isinstance(learner, torch.nn.Module):
        perturbed(learner)
    generator = torch.Generator().manual_seed(0)
    x, queries = torch.randn(2, 6, 12, generator=generator), torch.randn(2, 3, 12, generator=generator)
    y = torch.randint(4, (2, 6), generator=generator) if n_classes == 4 else torch.randn(2, 6, generator=generator)
    with torch.no_grad():
        found = learner.predict_queries(x, y, queries)
        for q in range(3):
            episode = torch.cat([x, queries[:, q : q + 1]], 1), torch.cat([y, y[:, :1]], 1)
            assert torch.allclose(found[:, q], learner.predict(*episode)[:, -1], atol=1e-3)
        nothing = learner.predict_queries(x[:, :0], y[:, :0], queries)
        assert torch.allclose(nothing[:, 0], learner.predict(queries[:, :1], y[:, :1])[:, 0], atol=1e-4)
    assert found.shape == nothing.shape == (2, 3, n_classes)
