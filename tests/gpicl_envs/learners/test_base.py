import sys
from pathlib import Path

import pytest
import torch

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import learner_targets, make_learner, register_learner

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


@pytest.mark.parametrize("name", ["Parrot", "Frequent"])
def test_a_class_of_somebody_else_is_a_learner(plug_in: str, name: str):
    learner = make_learner(f"{plug_in}:{name}", n_features=5, n_classes=3)
    check_learner(learner)
    assert learner.name == name and learner.n_parameters == 0


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


def test_registered_names_are_found(plug_in: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gpicl_envs.learners.registry._registered", {})  # what this test registers goes with it
    register_learner("parrot", f"{plug_in}:Parrot")
    assert make_learner("parrot", volume=3.0).get_params() == {"n_features": 784, "n_classes": 10, "volume": 3.0}
    register_learner("parrot", f"{plug_in}:Parrot")  # the same again is no change
    with pytest.raises(ValueError, match="registered already, as somebodys_agents:Parrot"):
        register_learner("parrot", f"{plug_in}:Frequent")


@pytest.mark.parametrize("name", learner_targets())
def test_every_registered_learner_keeps_the_protocol(name: str):
    learner = make_learner(name, n_features=20, n_classes=1 if name == "least-squares" else 4)
    if isinstance(learner, torch.nn.Module):  # its read-out starts at zero, which would hide a leak
        generator = torch.Generator().manual_seed(0)
        for parameter in learner.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    check_learner(learner)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        ("knnn", {}, "Unknown learner 'knnn'. Did you mean 'knn'.*transformer"),
        ("no_such_module:Agent", {}, "no module 'no_such_module' on the import path"),
        (
            "gpicl_baselines.gradient.sgd:SGD",
            {},
            "Unknown class of module gpicl_baselines.gradient.sgd 'SGD'. Did you mean 'OnlineSGD'",
        ),
        (
            "knn",
            {"kk": 1},
            "unexpected keyword argument 'kk'.*Valid: k, metric, n_classes, n_features",
        ),
        ("knn", {"k": 0}, "k=0 is not allowed"),
        ("knn", {"metric": "cosin"}, "Did you mean 'cosine'"),
        ("centroid", {"n_classes": 1}, "n_classes=1"),
        ("gpicl_baselines:", {}, "Unknown learner 'gpicl_baselines:'.*Or give module:Class"),
        ("ridge", {"regularization": 0}, "regularization=0"),
    ],
    ids=str,
)
def test_bad_descriptions_say_what_is_allowed(spec: str, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_learner(spec, **arguments)


def test_a_learner_needs_predict_or_step():
    with pytest.raises(TypeError, match="overrides neither predict"):
        type("Empty", (Learner,), {})
