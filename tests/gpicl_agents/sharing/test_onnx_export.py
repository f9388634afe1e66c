import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from model_checks import perturbed
from slow_stage import mostly_slow

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.sharing.onnx_export import TOLERANCE, export_onnx, halve
from gpicl_envs.learners.registry import learner_targets, make_learner

onnx = pytest.importorskip("onnx", reason="ONNX needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX needs the extra onnx")
pytest.importorskip("onnxscript", reason="ONNX needs the extra onnx")

DOCS = Path(__file__).parents[3] / "docs" / "sharing.md"
SMALL = {"width": 8, "mlp_width": 8, "input_rank": 4, "n_units": 16, "state_width": 4, "size": 4, "message_size": 2}
NOT_EXPORTED = {
    "kernel-transformer": "Cholesky factor",
    "multi-kernel-transformer": "Cholesky factor",
    "expert-transformer": "Cholesky factor",
    "maml": "its state holds a dict|cannot trace it",
}
FIXED = "lstm", "gru", "outer-product-lstm", "tied-lstm", "vsml", "rl2", "rl2-transformer", "gated-deltanet"
QUICK = "transformer", "kernel-transformer"  # one that can be exported; all together take more than a minute
MODELS = sorted(name for name in learner_targets() if isinstance(make_learner(name, n_features=6), torch.nn.Module))


def small(name: str, n_classes: int = 3) -> torch.nn.Module:
    made = make_learner(name, n_features=6, n_classes=n_classes)
    kwargs = {key: value for key, value in SMALL.items() if key in made.get_params()}
    return perturbed(make_learner(name, n_features=6, n_classes=n_classes, **kwargs))


@pytest.mark.parametrize("kind", ["predict", "step"])
@pytest.mark.parametrize("name", mostly_slow(MODELS, QUICK))
def test_every_model_of_the_registry_is_equal_or_refused_by_name(name: str, kind: str, tmp_path: Path):
    """The models, tiny: what docs/sharing.md says of each is true."""
    learner, path = small(name), tmp_path / "out.onnx"
    if name in NOT_EXPORTED:
        with pytest.raises(ValueError, match=f"cannot be exported to ONNX as {kind}: .*({NOT_EXPORTED[name]})"):
            export_onnx(learner, path, kind=kind, n_examples=3)
        assert not path.exists()
        return
    found = export_onnx(learner, path, kind=kind, n_examples=3)
    assert 0 <= found.difference <= TOLERANCE and path.stat().st_size > 1000
    if kind == "predict":
        assert found.is_open == (name not in FIXED)


def test_the_table_of_the_docs_is_that_of_the_test():
    table = DOCS.read_text(encoding="utf-8").partition("\n| learner |")[2]
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \|$", table, flags=re.MULTILINE)
    shown = {name: predict.strip() for names, predict, _ in rows for name in re.findall(r"`([\w-]+)`", names)}
    expected = {name: "N, filled up" if name in FIXED else "1 to N" for name in MODELS}
    assert shown == expected | dict.fromkeys(NOT_EXPORTED, "refused")


@pytest.mark.slow
def test_what_is_computed_is_what_the_learner_predicts_on_other_episodes(tmp_path: Path):
    """Of another length and number than those it was traced with, and in each kind of graph."""
    learner = perturbed(Transformer(6, 3, width=8, n_heads=2, mlp_width=8, input_rank=3, n_projections=2))
    session = onnxruntime.InferenceSession(str(export_onnx(learner, tmp_path / "a.onnx", n_examples=9).path))
    x, y = torch.randn(5, 7, 6), torch.randint(3, (5, 7))
    expected = learner.predict(x, y).detach().numpy()
    (found,) = session.run(["logits"], {"x": x.numpy(), "y": y.numpy()})
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    path = export_onnx(learner, tmp_path / "b.onnx", kind="step", n_examples=9).path
    facts = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    shapes = json.loads(facts["state_at_the_start"])
    session, x, y = onnxruntime.InferenceSession(str(path)), x[:1], y[:1]
    state = {name: np.zeros(shape, np.int64 if name == "state.n" else np.float32) for name, shape in shapes.items()}
    previous, expected = np.zeros((1, 3), np.float32), learner.predict(x, y).detach().numpy()
    for n in range(7):
        logits, *after = session.run(
            json.loads(facts["outputs"]), {"x": x[:, n].numpy(), "y_previous": previous} | state
        )
        np.testing.assert_allclose(logits, expected[:, n], atol=TOLERANCE)
        state, previous = dict(zip(state, after, strict=True)), np.eye(3, dtype=np.float32)[y[:, n].numpy()]


def test_values_are_predicted_too(tmp_path: Path):
    learner = small("memoryless-mlp", 1)
    for kind in ("predict", "step"):
        assert export_onnx(learner, tmp_path / "a.onnx", kind=kind, n_examples=4).difference < TOLERANCE


def test_the_file_says_what_it_holds_and_nothing_of_this_machine(tmp_path: Path):
    path = export_onnx(small("transformer"), tmp_path / "a.onnx", n_examples=5).path
    model = onnx.load(str(path))
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["learner"] == "transformer" and facts["kind"] == "predict" and facts["weights"] == "float32"
    assert [facts[name] for name in ("n_features", "n_classes", "n_examples")] == ["6", "3", "5"]
    assert json.loads(facts["inputs"]) == ["x", "y"] == [given.name for given in model.graph.input]
    assert json.loads(facts["outputs"]) == ["logits"] == [given.name for given in model.graph.output]
    assert b"site-packages" not in path.read_bytes() and b".py" not in path.read_bytes()


def test_half_precision_halves_the_file(tmp_path: Path):
    learner = perturbed(make_learner("memoryless-mlp", n_features=40, n_classes=3, width=64))
    whole, half = (export_onnx(learner, tmp_path / f"{half}.onnx", n_examples=4, half=half) for half in (False, True))
    assert half.path.stat().st_size < 0.6 * whole.path.stat().st_size
    assert half.half_difference is not None and half.difference < half.half_difference < 0.05


def test_weights_beyond_half_precision_are_refused():
    weights = onnx.numpy_helper.from_array(np.full((20, 20), 1e5, np.float32), "wide")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [weights]))
    with pytest.raises(ValueError, match="wide has weights above 65,504, the largest number in half precision: leave"):
        halve(model)


def test_a_graph_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "gpicl_agents.sharing.onnx_export._predicted", lambda session, graph, x, y: np.zeros((*y.shape, 3))
    )
    with pytest.raises(ValueError, match="memoryless-mlp cannot be exported .*onnxruntime computes something else"):
        export_onnx(small("memoryless-mlp"), tmp_path / "a.onnx", n_examples=4)
    assert not (tmp_path / "a.onnx").exists()


def test_bad_input_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="Unknown kind 'both'"):
        export_onnx(LSTM(6, 3), tmp_path / "a.onnx", kind="both")
    with pytest.raises(ValueError, match="centroid cannot be exported .* it has no meta-trained weights"):
        export_onnx(make_learner("centroid"), tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"needs the package onnxscript: pip install 'gpicl-envs\[onnx\]'"):
        export_onnx(LSTM(6, 3), tmp_path / "a.onnx")
