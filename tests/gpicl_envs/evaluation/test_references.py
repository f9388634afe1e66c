import numpy as np
import pytest
import torch

from gpicl_envs.evaluation.references import find_references, squared_distances
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


def test_the_optimal_ridge_is_the_posterior_mean_of_the_weights():
    """w ~ N(0, I), y = w x + N(0, σ²): E[w given n examples] = (XᵀX + σ² I)⁻¹ Xᵀ y."""
    tasks = FunctionDistribution("LinearRegression", length=12, n_features=5, noise=0.7)
    episodes = tasks.sample(3)
    predicted = find_references(tasks)["optimal-ridge"].predict(episodes.x.double(), episodes.y.double())
    x, y = episodes.x.double().numpy(), episodes.y.double().numpy()
    for n in (0, 4, 11):
        for row in range(3):
            seen, values = x[row, :n], y[row, :n]
            w = np.linalg.solve(seen.T @ seen + 0.7**2 * np.eye(5), seen.T @ values)
            assert predicted[row, n, 0].item() == pytest.approx(x[row, n] @ w, abs=1e-5)


def test_least_squares_alone_is_optimal_without_noise():
    assert find_references(FunctionDistribution()).keys() == {"least-squares"}
    noisy = find_references(FunctionDistribution("SparseLinearRegression", noise=0.6))
    assert noisy.keys() == {"least-squares", "optimal-ridge"}
    assert noisy["optimal-ridge"].get_params()["regularization"] == pytest.approx(0.36 / 3)
    assert find_references(TaskDistribution("Digits")) == {}


def test_distances_are_means_of_squares_over_an_episode():
    values = torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]])
    found = squared_distances({"zero": torch.zeros(2, 2, 1, dtype=torch.float64)}, values)
    assert found["zero"].tolist() == [2.5, 0.0] and found["zero"].dtype == torch.float64
