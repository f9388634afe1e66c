"""`export_onnx`: a meta-trained learner as an ONNX file, compared with PyTorch before it is kept.

Two kinds of graph:

| kind | inputs | outputs |
|---|---|---|
| predict | x (B, n, D), y (B, n) | logits (B, n, K) |
| step | x (1, D), y_previous (1, K), and the state as tensors | logits (1, K), and the next state |

A state starts as zeros; 0 in its shape stands for the number of examples seen. The file's metadata say all this.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpicl_agents.sharing.onnx_graph import Graph, graph_of_predict, graph_of_step
from gpicl_envs.datasets.files import replacing
from gpicl_envs.errors import check_choice, check_integer, first_line
from gpicl_envs.learners.base import Learner, encoded, evaluating

KINDS = ("predict", "step")
TOLERANCE = 1e-4  # largest difference to PyTorch, in logits or values (more where these exceed 1)
LARGE = 256  # numbers in a tensor of weights that is kept in half precision


@dataclass(frozen=True)
class OnnxExport:
    """An exported file.

    Args:
        path: of the file.
        is_open: whether it takes any number of examples up to N; else `predict` takes N, filled up with zeros.
        difference: largest difference to PyTorch in float32, over random episodes.
        half_difference: the same with weights in half precision, if they are.
    """

    path: Path
    is_open: bool
    difference: float
    half_difference: float | None = None


def export_onnx(
    learner: Learner, path: str | Path, *, kind: str = "predict", n_examples: int = 100, half: bool = False
) -> OnnxExport:
    """Write a learner to an ONNX file, after onnxruntime has computed the same from it as PyTorch does.

    Args:
        learner: a sequence model.
        path: a file that ends in .onnx; one that exists is replaced.
        kind: `"predict"` or `"step"` (see the module).
        n_examples: N, most examples in an episode.
        half: keep the weights in half precision; the graph computes in float32 all the same.

    Raises:
        ValueError: the extra `onnx` is not installed, or the learner cannot be exported; the message says why.
    """
    onnx, path = _require_onnx(), Path(path)
    check_choice("kind", kind, KINDS)
    check_integer("n_examples", n_examples, 2)
    if path.suffix != ".onnx":
        raise ValueError(f"{path} does not end in .onnx: give such a file.")
    try:
        if not isinstance(learner, torch.nn.Module):
            raise ValueError("it has no meta-trained weights")
        with evaluating(learner):
            graph = (graph_of_predict if kind == "predict" else graph_of_step)(learner, n_examples)
            difference = _largest_difference(learner, graph, n_examples)
        if not difference <= TOLERANCE:
            raise ValueError(f"onnxruntime computes something else (it differs by {difference:.2g})")
    except ValueError as error:
        raise ValueError(f"{learner.name} cannot be exported to ONNX as {kind}: {error}.") from error
    half_difference = None
    if half:
        halve(graph.model)
        half_difference = _largest_difference(learner, graph, n_examples)
    _describe(graph.model, learner, graph, kind, n_examples, half)
    with replacing(path) as partial:
        onnx.save(graph.model, str(partial))
    return OnnxExport(path, graph.is_open, difference, half_difference)


def halve(model: Any) -> None:
    """Keep large float32 weights of an `onnx.ModelProto` in half precision, each cast back where it is read."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or np.prod(weights.dims) < LARGE:
            continue
        with np.errstate(over="ignore"):  # refused below
            name, values = weights.name, numpy_helper.to_array(weights).astype(np.float16)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} has weights above 65,504, the largest number in half precision: leave out --half."
            )
        weights.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    halved = {cast.output[0] for cast in casts}
    kept = [item for item in model.graph.value_info if item.name not in halved]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


def _describe(model: Any, learner: Any, graph: Graph, kind: str, n_examples: int, half: bool) -> None:
    facts = {
        "learner": learner.name,
        "kind": kind,
        "n_features": learner.n_features,
        "n_classes": learner.n_classes,
        "n_examples": n_examples,
        "any_number_of_examples": graph.is_open or kind == "step",
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "state_at_the_start": {name: list(shape) for name, shape in graph.state.items()},
        "weights": "float16" if half else "float32",
    }
    model.producer_name = "gpicl-envs"
    for name, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)


def _largest_difference(learner: Any, graph: Graph, n_examples: int) -> float:
    """Of onnxruntime's logits to PyTorch's, relative where these exceed 1, over random episodes."""
    import onnxruntime

    options, largest = onnxruntime.SessionOptions(), 0.0
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(graph.model.SerializeToString(), options, ["CPUExecutionProvider"])
        for x, y in _episodes(learner, graph, n_examples):
            with torch.no_grad():
                expected = learner.predict(x, y).numpy()
            found = _predicted(session, graph, x, y) if "y" in graph.inputs else _stepped(session, graph, x, y)
            error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
            largest = max(largest, float(error.max())) if np.isfinite(found).all() else np.inf
    except Exception as error:  # onnxruntime raises kinds of its own
        raise ValueError(f"onnxruntime cannot run it: {first_line(error)}") from error
    return largest


def _episodes(learner: Any, graph: Graph, n_examples: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Random ones, of as many examples and side by side as the graph takes."""
    random, is_step = torch.Generator().manual_seed(0), "y" not in graph.inputs
    lengths = {1, 2, n_examples} if graph.is_open and not is_step else {n_examples}
    for batch, length in ((batch, length) for batch in ((1,) if is_step else (1, 3)) for length in sorted(lengths)):
        x = torch.randn(batch, length, learner.n_features, generator=random)
        if learner.n_classes == 1:
            yield x, torch.randn(batch, length, generator=random)
        else:
            yield x, torch.randint(learner.n_classes, (batch, length), generator=random)


def _predicted(session: Any, graph: Graph, x: torch.Tensor, y: torch.Tensor) -> Any:
    return session.run(list(graph.outputs), {"x": x.numpy(), "y": y.numpy()})[0]


def _stepped(session: Any, graph: Graph, x: torch.Tensor, y: torch.Tensor) -> Any:
    """The logits (1, N, K) of an episode, one example at a time from the state at the start."""
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
    types = {given.name: kinds[given.type] for given in session.get_inputs()}
    state: dict[str, Any] = {name: np.zeros(shape, types[name]) for name, shape in graph.state.items()}
    n_classes = next(given.shape[1] for given in session.get_inputs() if given.name == "y_previous")
    labels = encoded(y, n_classes)[0]
    previous, rows = torch.zeros_like(labels[:1]), []
    for n in range(x.shape[1]):
        given = {"x": x[:, n].numpy(), "y_previous": previous.numpy()} | state
        logits, *after = session.run(list(graph.outputs), given)
        state, previous = dict(zip(state, after, strict=True)), labels[n : n + 1]
        rows.append(logits)
    return np.stack(rows, 1)


def _require_onnx() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(f"ONNX needs the package {error.name}: pip install 'gpicl-envs[onnx]'.") from None
    return onnx
