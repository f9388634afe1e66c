"""Floating-point operations of a prediction: the formulas, and that counting leaves everything else as it was."""

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import conv1d, conv_transpose2d, scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from gpicl_envs.evaluation.evaluate import evaluate, evaluate_all
from gpicl_envs.evaluation.flops import flops_per_prediction
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import Caller
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.oracle import Oracle
from gpicl_envs.tasks.regression import FunctionDistribution

X, W = torch.randn(1, 20, 8), torch.randn(8, 3)
WORK = {
    "mm": (lambda x: x[0] @ W, 2 * 20 * 8 * 3),
    "addmm": (lambda x: torch.nn.functional.linear(x[0], W.T, W[0]), 2 * 20 * 8 * 3),
    "bmm": (lambda x: torch.einsum("bnd,bmd->bnm", x, x), 2 * 20 * 20 * 8),
    "baddbmm": (lambda x: torch.baddbmm(x.new_ones(1, 20, 20), x, x.mT), 2 * 20 * 20 * 8),
    "convolution": (lambda x: conv1d(x.mT, torch.ones(6, 4, 3), groups=2), 2 * 6 * 18 * 4 * 3),
    "transposed": (lambda x: conv_transpose2d(x[None], torch.ones(1, 6, 2, 2)), 2 * 20 * 8 * 6 * 4),
    "elementwise": (lambda x: x.exp().sum(), 0),
}


class Computes(Learner):
    """Does some work, and predicts nothing."""

    def __init__(self, work, n_features: int = 8, n_classes: int = 3) -> None:
        super().__init__(n_features, n_classes)
        self.work = work

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.work(x)
        return x.new_zeros(*y.shape, self.n_classes)


@pytest.mark.parametrize("name", WORK)
def test_operations_are_counted_by_their_formula_and_as_torch_does(name: str):
    work, expected = WORK[name]
    assert flops_per_prediction(Caller(Computes(work)), 20) == (expected / 20 or None)
    with FlopCounterMode(display=False) as torchs:
        work(X)
    assert torchs.get_total_flops() == expected


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION], ids=lambda backend: backend.name)
def test_attention_costs_the_same_by_every_backend(backend: SDPBackend):
    def work(x: torch.Tensor) -> None:
        heads = x.unflatten(2, (2, 4)).transpose(1, 2).contiguous()
        with sdpa_kernel(backend):
            scaled_dot_product_attention(heads, heads, heads)

    assert flops_per_prediction(Caller(Computes(work)), 20) == 2 * 2 * 20 * (4 + 4)  # 2 heads, keys, q·k and p·v


@pytest.mark.parametrize(
    "spec", ["knn", "ridge", "sgd", "lstm,width=16", "gated-deltanet,width=16,n_heads=2,n_layers=1"]
)
def test_a_learner_has_the_count_of_torchs_counter(spec: str):
    learner = make_learner(spec, n_features=12)
    x, y = torch.randn(1, 15, 12), torch.randint(10, (1, 15))
    with torch.no_grad(), FlopCounterMode(display=False) as torchs:
        learner.predict(x, y)
    assert flops_per_prediction(Caller(learner), 15) == torchs.get_total_flops() / 15 > 0


@pytest.mark.parametrize("spec", ["majority", "uniform", "sklearn:GaussianNB,refit_every=9"])
def test_what_computes_nothing_of_the_kind_is_unknown(spec: str, tasks: TaskDistribution):
    record = evaluate(make_learner(spec), tasks, episodes=2).record()
    assert record.flops_per_prediction is None and record.seconds_per_prediction == record.wall_seconds / 60


def test_the_record_has_seconds_and_operations_of_a_prediction(tasks: TaskDistribution):
    knn = evaluate(make_learner("knn"), tasks, episodes=20).record()
    assert knn.flops_per_prediction == 2 * 30 * 784  # of 30 inner products
    clusters = TaskDistribution("Clusters", length=20)
    oracle = evaluate(Oracle(), clusters, episodes=3).record()
    assert oracle.flops_per_prediction is None
    functions = FunctionDistribution("LinearRegression", length=12)
    ridge = make_learner("ridge", n_features=functions.n_features, n_classes=1)
    assert evaluate(ridge, functions, episodes=3).record().flops_per_prediction > 0


class Moody(Learner):
    """Fails, or counts its calls and remembers them, whenever there is one episode alone."""

    def __init__(self, n_features: int = 784, n_classes: int = 10) -> None:
        super().__init__(n_features, n_classes)
        self.calls: list[int] = []

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(x))
        torch.rand(3)
        if len(x) == 1:
            raise RuntimeError("one episode alone is too few")
        return x[..., : self.n_classes] @ x.new_ones(10, 10)


def test_a_learner_that_fails_here_keeps_its_scores_and_is_unknown(tasks: TaskDistribution):
    moody = Moody()
    curve = evaluate(moody, tasks, episodes=16)
    assert curve.flops_per_prediction is None and curve.scores.shape == (16, 30)
    assert moody.calls == [16]  # the copy was asked


def test_counting_changes_no_score_and_no_random_number(tasks: TaskDistribution, monkeypatch: pytest.MonkeyPatch):
    specs = ["knn", "sgd", "maml"]

    def run() -> tuple[list, torch.Tensor]:
        torch.manual_seed(3)
        learners = [make_learner(spec) for spec in specs]
        records = [asdict(curve.record()) for curve in evaluate_all(learners, tasks, episodes=20)]
        return records, torch.rand(4)

    counted, after = run()
    monkeypatch.setattr("gpicl_envs.evaluation.evaluate.flops_per_prediction", lambda *_: None)
    plain, before = run()
    assert all(record.pop("flops_per_prediction") for record in counted)
    assert not any(record.pop("flops_per_prediction") for record in plain)
    for record in (*counted, *plain):
        record.pop("wall_seconds"), record.pop("provenance")
    assert counted == plain and np.array_equal(after, before)


def test_counting_imports_neither_compiler_nor_triton():
    """Which would take longer than the evaluation of a fast learner."""
    code = """
import sys, torch
from gpicl_envs.evaluation.flops import flops_per_prediction
from gpicl_envs.learners.calls import Caller
from gpicl_envs.learners.registry import make_learner
print(flops_per_prediction(Caller(make_learner("knn")), 10))
print([name for name in ("torch._dynamo", "triton", "sympy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["15680.0", "[]"], done.stderr
