import numpy as np
import pytest
from baseline_checks import contexts, mnist_episodes
from sklearn.neighbors import KNeighborsClassifier

from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_agree_with_scikit_learn(episodes: Episodes, metric: str, k: int):
    logits = make_learner("knn", n_features=64, k=k, metric=metric).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes):
        model = KNeighborsClassifier(k, metric=metric).fit(x, y)
        votes = np.zeros(10)
        votes[model.classes_] = k * model.predict_proba(query[None])[0]
        assert logits[b, n].exp().numpy() == pytest.approx((votes + 0.1) / (k + 1), abs=1e-5)
