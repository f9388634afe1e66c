import numpy as np
import pytest
import torch
from baseline_checks import contexts, mnist_episodes, smoothed_probabilities
from sklearn.naive_bayes import GaussianNB

from gpicl_baselines.classical.causal import unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_naive_bayes_agrees_with_scikit_learn(episodes: Episodes):
    logits = make_learner("naive-bayes", n_features=64, smoothing=0.3).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes):
        expected = smoothed_probabilities(GaussianNB(var_smoothing=0.3).fit(x, y), query, n)
        assert logits[b, n].exp().numpy() == pytest.approx(expected, abs=1e-3)


def test_discriminants_equal_those_of_the_covariance_written_out(episodes: Episodes):
    logits = make_learner("lda", n_features=64, shrinkage=0.3, sharpness=1.0).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, lambda x: unit(x)):
        means = {c: x[y == c].mean(0) for c in np.unique(y)}
        within = x - np.stack([means[c] for c in y])
        # The learner's inner products are divided by D, as is the covariance here.
        precision = np.linalg.inv(0.7 * within.T @ within / n / 64 + 0.3 * np.eye(64)) / 64
        scores = {c: m @ precision @ query - m @ precision @ m / 2 + np.log((y == c).sum()) for c, m in means.items()}
        exponents = np.exp(np.array(list(scores.values())) - max(scores.values()))
        expected = np.zeros(10)
        expected[list(scores)] = exponents / exponents.sum()
        assert logits[b, n].exp().numpy() == pytest.approx((n * expected + 1) / (n + 10), abs=1e-3)


def test_inputs_that_do_not_vary_have_finite_logits():
    x, y = torch.ones(2, 6, 4), torch.arange(6).repeat(2, 1) % 2
    for name in ("naive-bayes", "lda"):
        logits = make_learner(name, n_features=4, n_classes=2).predict(x, y)
        assert logits.isfinite().all() and torch.allclose(logits[:, 2, 0], logits[:, 2, 1], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "argument", "allowed", "refused"),
    [
        ("naive-bayes", "smoothing", (0, 0.5, 3), (-0.1, float("inf"))),
        ("lda", "sharpness", (0, 0.5, 3), (-0.1, float("nan"))),
        ("lda", "shrinkage", (0.5, 1), (0, 1.1, -0.1)),
    ],
)
def test_settings_have_ranges(name: str, argument: str, allowed: tuple, refused: tuple):
    for value in allowed:
        assert make_learner(name, **{argument: value}).get_params()[argument] == value
    for value in refused:
        with pytest.raises(ValueError, match=f"{argument}={value} is not allowed"):
            make_learner(name, **{argument: value})
