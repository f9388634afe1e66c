import numpy as np
import pytest
from baseline_checks import contexts, mnist_episodes
from sklearn.semi_supervised import LabelSpreading

from gpicl_baselines.classical.causal import unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_label_propagation_agrees_with_scikit_learn(episodes: Episodes):
    logits = make_learner("label-propagation", n_features=64, gamma=4.0, alpha=0.6).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, unit):
        model = LabelSpreading(kernel="rbf", gamma=4.0 / 64, alpha=0.6, max_iter=1000, tol=1e-9)
        model.fit(np.vstack([x, query]), np.append(y, -1))
        expected = np.zeros(10)
        expected[model.classes_] = model.label_distributions_[-1]
        assert logits[b, n].exp().numpy() == pytest.approx((n * expected + 1) / (n + 10), abs=1e-5)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="alpha=1 is not allowed: give a number from 0 to 1, without 1"):
        make_learner("label-propagation", alpha=1)
    with pytest.raises(ValueError, match="gamma=-1"):
        make_learner("label-propagation", gamma=-1)
    assert make_learner("label-propagation", gamma=0).gamma == 0
