import numpy as np
import pytest
import torch
from model_checks import check_gradients, perturbed
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise_distances
from torch.nn.functional import one_hot, pad

from gpicl_agents.models.causal_ridge import SMALLEST_NOISE, CausalRidge
from gpicl_agents.models.multi_kernel_transformer import FAMILIES, MultiKernelTransformer
from gpicl_envs import FunctionDistribution, TableDistribution, evaluate, make_learner
from gpicl_envs.learners.check import check_learner

D, K, N = 20, 4, 9


def made(n_classes: int = K, **arguments) -> MultiKernelTransformer:
    small = {"width": 16, "n_layers": 2, "n_heads": 2, "input_rank": 8, "kernel_heads": 2, "mlp_width": 32}
    return perturbed(MultiKernelTransformer(D, n_classes, **(small | arguments)))


def examples(b: int = 2, n_classes: int = K, n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(b, n, D, generator=generator)
    if n_classes == 1:
        return x, torch.randn(b, n, generator=generator)
    return x, torch.randint(n_classes, (b, n), generator=generator)


def kernel_of(family: str, x: np.ndarray, gamma: float, beta: float) -> np.ndarray:
    """The kernel matrix of a family as the module's table writes it."""
    if family == "polar":
        norms = np.log(np.linalg.norm(x, axis=1))
        units = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.exp(gamma * (units @ units.T - 1) - beta * (norms[:, None] - norms) ** 2)
    if family == "gaussian":
        return np.exp(-gamma * pairwise_distances(x, metric="sqeuclidean") / D)
    return np.exp(-gamma * pairwise_distances(x, metric="manhattan") / D)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_of_each_family_are_kernel_ridge_regressions_at_every_position(family: str):
    """scikit-learn's, fitted to the examples before each; so are those of queries after them."""
    ridge = CausalRidge(2, K, FAMILIES)
    x, y = examples(1)
    labels = one_hot(y, K).float()
    predictions, deviations = ridge(x, pad(labels[:, :-1], (0, 0, 1, 0)))
    assert predictions.shape == (1, N, 6, K) and deviations.shape == (1, N, 6)
    for head in range(2 * FAMILIES.index(family), 2 * FAMILIES.index(family) + 2):
        gamma, noise = ridge.log_gamma.exp()[head].item(), ridge.log_noise.exp()[head].item() + SMALLEST_NOISE
        kernel = kernel_of(family, x[0].double().numpy(), gamma, ridge.log_beta.exp()[head % 2].item())
        for n in range(1, N):
            fitted = KernelRidge(alpha=noise, kernel="precomputed").fit(kernel[:n, :n], labels[0, :n].numpy() - 1 / K)
            expected = fitted.predict(kernel[n : n + 1, :n])[0]
            assert np.allclose(predictions[0, n, head].detach(), expected, atol=1e-4)
            inverse = np.linalg.inv(kernel[:n, :n] + noise * np.eye(n))
            variance = 1 + noise - kernel[n, :n] @ inverse @ kernel[:n, n]
            assert deviations[0, n, head].item() == pytest.approx(np.sqrt(variance), abs=1e-4)
    at_queries, _ = ridge.forward_queries(x[:, :-1], labels[:, :-1], x[:, -1:])
    assert torch.allclose(at_queries[:, 0], predictions[:, -1], atol=1e-4)


def test_values_mix_every_kernel_with_the_linear_one():
    ridge = CausalRidge(2, 1, FAMILIES)
    ridge.mixture.data[:] = -30.0
    x, y = examples(2, 1)
    predictions, _ = ridge(x, pad(y[:, :-1, None], (0, 0, 1, 0)))
    for head in range(6):
        noise = ridge.log_noise.exp()[head].item() + SMALLEST_NOISE
        expected = make_learner("ridge", n_features=D, n_classes=1, regularization=noise).predict(x, y)
        assert torch.allclose(predictions[:, :, head], expected, atol=1e-4)


FORMS = [
    {},
    {"kernel_families": ("laplace",)},
    {"kernel_families": "polar"},
    {"kernel_families": ("gaussian", "polar")},
    {"n_projections": 2},
]


@pytest.mark.parametrize("n_classes", [K, 1])
@pytest.mark.parametrize("arguments", FORMS, ids=str)
def test_every_form_passes_the_check(arguments: dict, n_classes: int):
    """Above all: stepping predicts what the whole episode does, and nothing reads the future."""
    check_learner(made(n_classes, **arguments), length=12)


@pytest.mark.parametrize("n_classes", [K, 1])
@pytest.mark.parametrize("arguments", FORMS, ids=str)
def test_queries_are_predicted_as_the_next_example(arguments: dict, n_classes: int):
    learner = made(n_classes, **arguments)
    (x, y), queries = examples(2, n_classes), torch.randn(2, 3, D, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        found = learner.predict_queries(x, y, queries)
        for q in range(3):
            whole = torch.cat([x, queries[:, q : q + 1]], 1), torch.cat([y, y[:, :1]], 1)
            assert torch.allclose(found[:, q], learner.predict(*whole)[:, -1], atol=1e-3)


def test_the_mixture_is_the_posterior_of_experts():
    """Untrained: the heads' predictions, weighted by softmax of minus their summed squared errors, times 5."""
    learner = MultiKernelTransformer(D, K, kernel_heads=2, width=16, n_heads=2)
    learner.read_out.weight.data.zero_()
    x, y = examples(1)
    labels = one_hot(y, K).float()
    with torch.no_grad():
        predictions, _ = learner.ridge(x, pad(labels[:, :-1], (0, 0, 1, 0)))
        logits = learner.predict(x, y) - learner.read_out.bias
    error = torch.zeros(6)
    for n in range(N):
        expected = 5 * (torch.softmax(-error, 0)[:, None] * predictions[0, n]).sum(0)
        assert torch.allclose(logits[0, n], expected, atol=1e-4)
        error += (predictions[0, n] - labels[0, n] + 1 / K).square().sum(1)


@pytest.mark.parametrize("n_classes", [K, 1])
def test_gradients_agree_with_finite_differences(n_classes: int):
    learner = made(n_classes, n_layers=1, width=8).double()
    x, y = examples(2, n_classes, 5)
    check_gradients(learner, x.double(), y if n_classes > 1 else y.double(), tolerance=1e-5)


def test_equal_and_zero_inputs_are_finite():
    zeros = made().predict(torch.zeros(2, 5, D), torch.zeros(2, 5, dtype=torch.int64))
    x, y = examples(1)
    equal = made().predict(x[:, :1].expand(-1, N, -1), y)
    assert zeros.isfinite().all() and equal.isfinite().all()


def test_untrained_it_learns_tables_and_functions_already():
    tables = TableDistribution(length=60, n_features=70, split="test")
    learner = make_learner("multi-kernel-transformer", n_features=70)
    found = evaluate(learner, tables, episodes=60).scores[:, -20:].mean()
    assert found > evaluate(make_learner("majority", n_features=70), tables, episodes=60).scores[:, -20:].mean() + 0.1
    linear = FunctionDistribution(length=40, n_features=8, split="test")
    learner = make_learner("multi-kernel-transformer", n_features=8, n_classes=1)
    assert evaluate(learner, linear, episodes=20).scores[:, -5:].mean() < 0.2 * linear.target_variance


@pytest.mark.parametrize(
    ("families", "message"),
    [((), "leaves no kernel: give some of polar"), (("linear",), "Unknown kernel_families 'linear'")],
    ids=str,
)
def test_bad_families_are_refused(families: tuple[str, ...], message: str):
    with pytest.raises(ValueError, match=message):
        made(kernel_families=families)
