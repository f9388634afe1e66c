import numpy as np
import pytest
import torch
from baseline_checks import contexts, mnist_episodes
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from gpicl_baselines.classical.causal import centred, unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes
from gpicl_envs.tasks.regression import FunctionDistribution


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_ridge_agrees_with_scikit_learn_at_every_position(episodes: Episodes):
    learner = make_learner("ridge", n_features=64, regularization=0.5, sharpness=1.0)
    logits = learner.predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, lambda x: unit(centred(x))):
        model = Ridge(alpha=0.5 * 64, fit_intercept=False).fit(x, np.eye(10)[y] - 0.1)
        assert logits[b, n].numpy() == pytest.approx(model.predict(query[None])[0], abs=1e-4)


def test_ridge_equals_a_direct_solve_at_every_position(episodes: Episodes):
    logits = make_learner("ridge", n_features=64, regularization=0.5, sharpness=1.0).predict(episodes.x, episodes.y)
    z = unit(centred(episodes.x)).double().numpy()
    for b, y in enumerate(episodes.y.numpy()):
        for n in range(1, 40):
            seen = z[b, :n]
            weights = np.linalg.solve(seen.T @ seen / 64 + 0.5 * np.eye(64), seen.T @ (np.eye(10)[y[:n]] - 0.1) / 64)
            assert logits[b, n].numpy() == pytest.approx(z[b, n] @ weights, abs=1e-4)


def test_kernel_ridge_agrees_with_scikit_learn_at_every_position(episodes: Episodes):
    learner = make_learner("kernel-ridge", n_features=64, gamma=1.2, regularization=0.05, sharpness=1.0)
    logits = learner.predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, unit):
        model = KernelRidge(kernel="rbf", gamma=1.2 / 64, alpha=0.05).fit(x, np.eye(10)[y] - 0.1)
        assert logits[b, n].numpy() == pytest.approx(model.predict(query[None])[0], abs=1e-4)


@pytest.mark.parametrize("name", ["ridge", "kernel-ridge"])
def test_values_are_regressed_on_the_inputs_as_they_are(name: str):
    """One class: neither centred nor scaled, and no sharpness."""
    episodes = FunctionDistribution("LinearRegression", length=30, n_features=5).sample(2, seed=1)
    arguments = {"regularization": 0.1} if name == "ridge" else {"regularization": 0.1, "gamma": 0.7}
    values = make_learner(name, n_features=5, n_classes=1, sharpness=7.0, **arguments).predict(episodes.x, episodes.y)
    kernel = (
        {"kernel": "linear", "alpha": 0.1 * 5} if name == "ridge" else {"kernel": "rbf", "gamma": 0.7 / 5, "alpha": 0.1}
    )
    for b in range(2):
        x, y = episodes.x[b].double().numpy(), episodes.y[b].double().numpy()
        for n in range(1, 30):
            expected = KernelRidge(**kernel).fit(x[:n], y[:n]).predict(x[n : n + 1])[0]
            assert values[b, n, 0].item() == pytest.approx(expected, abs=1e-3)
    assert torch.equal(values[:, 0, 0], torch.zeros(2))


def test_least_squares_refuses_labels():
    with pytest.raises(ValueError, match="least-squares predicts values, n_classes=1; given n_classes=2: use ridge"):
        make_learner("least-squares", n_classes=2)


def test_least_squares_is_numpy_s_and_exact_once_it_has_seen_d_examples():
    episodes = FunctionDistribution("LinearRegression", length=41).sample(8, seed=1)
    values = make_learner("least-squares").predict(episodes.x, episodes.y)[..., 0]
    for b in range(8):
        x, y = episodes.x[b].double().numpy(), episodes.y[b].double().numpy()
        for n in range(1, 41):
            if n not in (19, 20, 21):  # as many examples as features: badly conditioned, in double precision too
                solution = np.linalg.lstsq(x[:n], y[:n], rcond=None)[0]
                assert values[b, n].item() == pytest.approx(x[n] @ solution, abs=2e-2)
    assert (values - episodes.y)[:, 25:].square().max() < 1e-3
