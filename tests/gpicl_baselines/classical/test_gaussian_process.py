import numpy as np
import pytest
from baseline_checks import contexts, mnist_episodes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from gpicl_baselines.classical.causal import unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_the_gaussian_process_has_the_posterior_of_scikit_learn(episodes: Episodes):
    """One regression a class, with the noise of its own labels."""
    learner = make_learner("gaussian-process", n_features=64, gamma=1.0, amplitude=4.0, epsilon=0.01)
    logits = learner.predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, unit):
        concentration = 0.01 + np.eye(10)[y]
        noise = np.log(1 / concentration + 1)
        targets = np.log(concentration) - noise / 2
        targets -= targets.mean(1, keepdims=True)
        for c in (0, 7):
            kernel = ConstantKernel(4.0, "fixed") * RBF((64 / 2) ** 0.5, "fixed")
            model = GaussianProcessRegressor(kernel, alpha=noise[:, c], optimizer=None).fit(x, targets[:, c])
            mean, deviation = model.predict(query[None], return_std=True)
            expected = mean[0] / (1 + np.pi * deviation[0] ** 2 / 8) ** 0.5
            assert logits[b, n, c].item() == pytest.approx(expected, abs=2e-3)


def test_wide_kernels_are_allowed_and_negative_widths_are_not(episodes: Episodes):
    """With γ = 0 all inputs are alike, and the most frequent class is predicted."""
    logits = make_learner("gaussian-process", n_features=64, gamma=0).predict(episodes.x, episodes.y)
    most = episodes.y[:, :-1].mode(dim=1).values
    counts = np.stack([np.bincount(row, minlength=10) for row in episodes.y[:, :-1].numpy()])
    for row, answer in enumerate(logits[:, -1].argmax(1).tolist()):
        assert counts[row, answer] == counts[row, most[row]]
    with pytest.raises(ValueError, match="gamma=-0.1"):
        make_learner("gaussian-process", gamma=-0.1)
