import numpy as np
import pytest
import torch
from baseline_checks import contexts, mnist_episodes
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

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


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3])
def test_values_are_the_mean_of_the_neighbours(episodes: Episodes, metric: str, k: int):
    values = make_learner("knn", n_features=64, n_classes=1, k=k, metric=metric).predict(episodes.x, episodes.y.float())
    for b, n, x, y, query in contexts(episodes):
        model = KNeighborsRegressor(k, metric=metric).fit(x, y)
        assert values[b, n, 0].item() == pytest.approx(model.predict(query[None])[0], abs=1e-5)


def test_as_long_as_fewer_examples_were_seen_all_of_them_vote():
    x, y = torch.randn(1, 3, 4), torch.tensor([[1, 1, 0]])
    probabilities = make_learner("knn", n_features=4, n_classes=2, k=9).predict(x, y).exp()
    assert torch.allclose(probabilities[0], torch.tensor([[0.5, 0.5], [0.25, 0.75], [1 / 6, 5 / 6]]))
    values = make_learner("knn", n_features=4, n_classes=1, k=9).predict(x, torch.tensor([[4.0, 2.0, 0.0]]))
    assert values[0, :, 0].tolist() == [0.0, 4.0, 3.0]
