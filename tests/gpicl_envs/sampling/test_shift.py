"""Shifted inputs, against the covariances and signs of their definitions (Garg et al. 2022)."""

import gymnasium
import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare, kstest
from small_tasks import tasks_of

from gpicl_envs.sampling.shift import spectrum_scales
from gpicl_envs.tasks.regression import FunctionDistribution

D = 6


def covariance_of_tasks(x: torch.Tensor) -> torch.Tensor:
    """(B, D, D)."""
    return x.mT @ x / x.shape[1]


def functions(**arguments) -> FunctionDistribution:
    return FunctionDistribution(**({"n_features": D, "length": 4000} | arguments))


@pytest.mark.parametrize("x_scale", [1.0, 3.0])
@pytest.mark.parametrize(
    ("x_spectrum", "variances"),
    [
        ("flat", np.ones(D)),
        ("skewed", D / (np.arange(D) + 1.0) ** 2 / (1 / (np.arange(D) + 1.0) ** 2).sum()),
        ("subspace", np.array([2.0, 2, 2, 0, 0, 0])),
    ],
)
def test_the_eigenvalues_are_those_of_the_definition(x_spectrum: str, variances: np.ndarray, x_scale: float):
    episodes = functions(x_spectrum=x_spectrum, x_scale=x_scale, length=20_000).sample(8)
    found = torch.linalg.eigvalsh(covariance_of_tasks(episodes.x)).flip(1).mean(0) / x_scale**2
    assert np.allclose(found, variances, rtol=0.05, atol=1e-5)
    assert np.allclose(spectrum_scales(x_spectrum, x_scale, D, torch.device("cpu")) ** 2, variances * x_scale**2)


def test_each_task_draws_its_principal_axes_uniformly_and_keeps_them():
    tasks = functions(x_spectrum="skewed", length=400, n_tasks=300)
    episodes = tasks.sample(300)
    axes = torch.linalg.eigh(covariance_of_tasks(episodes.x)).eigenvectors[:, :, -1]
    assert kstest(axes[:, 0].abs().square(), "beta", args=(1 / 2, (D - 1) / 2)).pvalue > 1e-4  # uniform on the sphere
    same = episodes.task_id == episodes.task_id.mode().values
    assert same.sum() > 1 and (axes[same] @ axes[same][0]).abs().min() > 0.9


def test_the_function_is_of_the_shifted_inputs():
    tasks = functions(x_spectrum="subspace", x_scale=2.0, length=9)
    episodes = tasks.sample(5)
    weight = tasks.parameters(episodes.tasks)["weight"]
    assert torch.allclose((episodes.x @ weight.unsqueeze(2))[..., 0], episodes.y, atol=1e-4)
    assert torch.linalg.matrix_rank(episodes.x, atol=1e-3).tolist() == [3] * 5


@pytest.mark.parametrize("orthants", ["random", "opposite"])
def test_the_examples_lie_in_one_orthant_and_the_query_where_it_should(orthants: str):
    episodes = functions(orthants=orthants, length=5, n_features=3, n_tasks=2).sample(4000)
    signs = (episodes.x > 0).long()
    assert (signs[:, :-1] == signs[:, :1]).all()
    kinds = signs @ torch.tensor([4, 2, 1])
    assert chisquare(kinds[:, 0].bincount(minlength=8)).pvalue > 1e-4
    assert kstest(episodes.x.abs().flatten()[::7], "halfnorm").pvalue > 1e-4
    if orthants == "opposite":
        assert (kinds[:, -1] == 7 - kinds[:, 0]).all()
    else:
        assert chisquare(kinds[:, -1].bincount(minlength=8)).pvalue > 1e-4
        assert binomtest(int((kinds[:, -1] == kinds[:, 0]).sum()), 4000, 1 / 8).pvalue > 1e-4


@pytest.mark.parametrize("arguments", [{"n_tasks": 5}, {"route": "matrix", "distractors": 4}, {}], ids=str)
def test_features_of_classification_are_scaled_in_an_order_of_the_task(arguments: dict):
    plain = tasks_of(**arguments).sample(40)
    tasks = tasks_of(x_spectrum="skewed", x_scale=2.0, **arguments)
    episodes = tasks.sample(40)
    ratio = (episodes.x / plain.x).median(1).values
    expected = spectrum_scales("skewed", 2.0, 16, torch.device("cpu"))
    assert torch.allclose(ratio.sort(1, descending=True).values, expected.expand(40, -1), rtol=1e-3)
    assert len(ratio.argmax(1).unique()) > (4 if arguments.get("n_tasks") else 9) - 1
    a = tasks.projections(episodes.tasks)
    if a is not None and not arguments.get("distractors"):
        assert torch.allclose(tasks.images(episodes.index) @ a.mT, episodes.x, atol=1e-3)
    assert torch.equal(episodes.y, plain.y)
    assert torch.allclose(tasks_of(x_scale=0.5, **arguments).sample(40).x, plain.x / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x_spectrum": "steep"}, "Unknown x_spectrum 'steep'.*skewed"),
        ({"x_scale": 0}, "x_scale=0 is not allowed: give a finite number above 0"),
        ({"x_spectrum": "subspace", "n_features": 1}, "keeps half of the features, but n_features=1"),
        ({"orthants": "same"}, "Unknown orthants 'same'.*opposite"),
        ({"orthants": "opposite", "x_spectrum": "skewed"}, "exclude each other: leave one out"),
        ({"orthants": "opposite", "length": 1}, "orthants='opposite' needs a length of at least 2"),
    ],
    ids=str,
)
def test_bad_shifts_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        functions(**arguments)


@pytest.mark.parametrize(
    ("env_id", "arguments", "kind"),
    [
        ("GPICL-MNIST-v0", {"orthants": "opposite"}, "'orthants': it is one of FunctionDistribution alone"),
        ("GPICL-MNIST-v0", {"noise": 0.5}, "'noise': it is one of FunctionDistribution alone"),
        ("GPICL-DecisionTree-v0", {"zipf": 1.0}, "'zipf': it is one of TaskDistribution alone. Leave it"),
    ],
)
def test_arguments_of_the_other_kind_of_environment_are_named(env_id: str, arguments: dict, kind: str):
    with pytest.raises(ValueError, match=f"got an unexpected keyword argument {kind}"):
        gymnasium.make_vec(env_id, num_envs=2, **arguments)
