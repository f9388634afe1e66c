"""A learner as a graph of ONNX operators, by `torch.export`: all of an episode at once, or one example at a time.

A learner is causal: row n of `predict` depends on nothing after it. So a graph of exactly N examples serves fewer, too,
filled up with zeros; where the number of examples can be left open in the graph, it is.
"""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.overrides import TorchFunctionMode

from gpicl_agents.models.causal_ridge import CausalRidge
from gpicl_agents.models.state import leaves_of, map_state
from gpicl_envs.errors import first_line

FEWEST = 3  # examples in a trace that leaves their number open: 1 and 2 would be taken as constants
TRACED = 4, 6  # examples after which two states are compared, to see which dimensions grow


@dataclass(frozen=True)
class Graph:
    """What a learner computes, as ONNX says it.

    Args:
        model: an `onnx.ModelProto`.
        inputs: their names, in order.
        outputs: their names, in order.
        is_open: whether the number of examples is left open; for `step`, of examples seen.
        state: for `step`, name → shape at the start, 0 where it grows.
    """

    model: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    is_open: bool
    state: dict[str, tuple[int, ...]]


class _Comparing(TorchFunctionMode):
    """`one_hot` by a comparison: PyTorch's own reads the labels, to check them, which no graph can."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is one_hot:
            labels, n_classes = args
            return (labels[..., None] == torch.arange(n_classes, device=labels.device)).long()
        return func(*args, **(kwargs or {}))


class _Predict(nn.Module):
    def __init__(self, learner: Any) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with _Comparing():
            return self.learner.predict(x, y)


class _Step(nn.Module):
    """`step` with the tensors of the state as arguments and results; `form` is any state after an example."""

    def __init__(self, learner: Any, form: Any) -> None:
        super().__init__()
        self.learner, self.form = learner, form

    def forward(self, x: torch.Tensor, y_previous: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = iter(values)
        state = map_state(self.form, lambda name, value: None if value is None else next(given))
        with _Comparing():
            logits, after = self.learner.step(state, x, y_previous)
        return logits, *(value for value in leaves_of(after).values() if value is not None)


def graph_of_predict(learner: Any, n_examples: int) -> Graph:
    """Trace `predict` for any number of episodes of up to N examples, or of exactly N.

    Raises:
        ValueError: it cannot be traced, or needs an operator that ONNX lacks.
    """
    _check_operators(learner)
    batch, length = torch.export.Dim("batch", min=1), max(n_examples, FEWEST + 1)
    open_ended = torch.export.Dim("examples", min=FEWEST, max=length)
    tries: list[tuple[dict[int, Any], int, int]] = [({0: batch, 1: open_ended}, length, length)]
    tries += [({0: batch}, n_examples, n_examples), ({0: batch}, n_examples, 1)]
    reason = ""
    for dims, length, chunk in tries:
        x, y = torch.zeros(2, length, learner.n_features), torch.zeros(2, length, dtype=torch.int64)
        given = {"x": x, "y": y.float() if learner.n_classes == 1 else y}
        try:
            module = _Predict(_with_chunk(learner, chunk))
            model = _converted(module, given, {"x": dims, "y": dims}, ("logits",))
            return Graph(model, tuple(given), ("logits",), len(dims) == 2, {})
        except ValueError as error:
            reason = str(error)
    raise ValueError(reason)


def graph_of_step(learner: Any, n_examples: int) -> Graph:
    """Trace `step` for one episode of up to N examples; see `graph_of_predict`."""
    _check_operators(learner)
    x, y_previous = torch.zeros(1, learner.n_features), torch.zeros(1, learner.n_classes)
    state, states = learner.start(1), [learner.start(1)]
    for _ in range(max(TRACED)):
        _, state = learner.step(state, x, y_previous)
        states.append(state)
    first, second = (
        {name: _tensor(value) for name, value in leaves_of(states[n]).items() if value is not None} for n in TRACED
    )
    if first.keys() != second.keys():
        raise ValueError("the form of its state changes from example to example")
    seen = torch.export.Dim("seen", min=FEWEST, max=max(n_examples, max(TRACED)))
    grown = {
        name: {axis: seen for axis, size in enumerate(value.shape) if second[name].shape[axis] != size}
        for name, value in first.items()
    }
    start = {
        name: tuple(0 if axis in grown[name] else size for axis, size in enumerate(value.shape))
        for name, value in first.items()
    }
    for name, value in leaves_of(states[0]).items():
        if value is None:  # and something later: rows that it has none of yet
            changes = [later for later in first if f"{later}.".startswith(f"{name}.") and not grown[later]]
        else:
            changes = [name] if tuple(_tensor(value).shape) != start.get(name) or _tensor(value).any() else []
        if changes:
            raise ValueError(f"{changes[0]} does not start as zeros of the form that it has later")
    dims: dict[str, Any] = {"x": {}, "y_previous": {}} | ({"values": tuple(grown.values())} if grown else {})
    after = tuple(name.replace("state", "next", 1) for name in first)
    given = {"x": x, "y_previous": y_previous} | first
    model = _converted(_Step(learner, states[TRACED[0]]), given, dims, ("logits", *after))
    return Graph(model, tuple(given), ("logits", *after), any(grown.values()), start)


def _check_operators(learner: Any) -> None:
    if any(isinstance(module, CausalRidge) for module in learner.modules()):
        raise ValueError(
            "its kernel ridge regressions need the Cholesky factor of a matrix that grows, and ONNX has no operator "
            "for that"
        )


def _converted(
    module: nn.Module, arguments: dict[str, torch.Tensor], dims: dict[str, Any], outputs: tuple[str, ...]
) -> Any:
    """The `onnx.ModelProto` of a module, without the names of this machine's files."""
    with _quiet():
        try:
            with torch.enable_grad():  # so that `Rows` copies, and does not write into a buffer
                program = torch.export.export(module.eval(), tuple(arguments.values()), dynamic_shapes=dims)
        except Exception as error:  # of many kinds
            raise ValueError(f"torch.export cannot trace it ({first_line(error)})") from error
        graphs = [each.graph for each in program.graph_module.modules() if isinstance(each, torch.fx.GraphModule)]
        if any("aten.linalg_solve_triangular" in str(node.target) for graph in graphs for node in graph.nodes):
            raise ValueError("ONNX has no operator for torch.linalg.solve_triangular")
        try:
            names = {"input_names": tuple(arguments), "output_names": outputs}
            made = torch.onnx.export(program, dynamo=True, verbose=False, **names)  # type: ignore[arg-type]
        except Exception as error:  # of many kinds
            raise ValueError(f"torch.onnx cannot convert it ({first_line(error.__cause__ or error)})") from error
    assert made is not None
    proto = made.model_proto
    for part in (proto, proto.graph, *proto.functions):
        for item in (part, *getattr(part, "node", ()), *getattr(part, "value_info", ())):
            del item.metadata_props[:]
            item.doc_string = ""
    return proto


def _with_chunk(learner: Any, chunk: int) -> Any:
    """The learner, or a copy of it that computes `chunk` positions at once, if it has that setting."""
    if not any(hasattr(module, "chunk") for module in learner.modules()):
        return learner
    copied = copy.deepcopy(learner)
    for module in copied.modules():
        if hasattr(module, "chunk"):
            module.chunk = chunk
    return copied


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, bool | int | float):
        return torch.tensor(value)
    raise ValueError(f"its state holds a {type(value).__name__}, which is not a tensor")


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, neither warnings nor logs nor graphs on the screen: the exporters are talkative."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
