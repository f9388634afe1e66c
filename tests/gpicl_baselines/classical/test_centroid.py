import pytest
import torch
from baseline_checks import contexts, mnist_episodes
from sklearn.neighbors import NearestCentroid

from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.episodes import Episodes


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_centroids_agree_with_scikit_learn(episodes: Episodes):
    predicted = make_learner("centroid", n_features=64).predict(episodes.x, episodes.y).argmax(2)
    for b, n, x, y, query in contexts(episodes):
        assert predicted[b, n] == NearestCentroid().fit(x, y).predict(query[None])[0]


def test_logits_are_negative_distances_to_the_centroids(episodes: Episodes):
    """Up to |x|², which is common to all classes; those not seen yet are 1 below the lowest."""
    logits = make_learner("centroid", n_features=64, sharpness=3.0).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes):
        means = {k: x[y == k].mean(0) for k in set(y.tolist())}
        expected = {k: 3.0 * (query @ query - ((query - mean) ** 2).sum()) / 64 for k, mean in means.items()}
        for k in range(10):
            assert logits[b, n, k].item() == pytest.approx(expected.get(k, min(expected.values()) - 1), abs=1e-4)
    assert not logits[:, 0].any()  # before any example


def test_a_class_not_seen_yet_is_the_last_choice_of_centroids():
    x, y = torch.randn(1, 4, 3), torch.tensor([[2, 2, 0, 1]])
    logits = make_learner("centroid", n_features=3, n_classes=4).predict(x, y)
    assert (logits[0, 2, 2] > logits[0, 2, [0, 1, 3]]).all()


def test_classifiers_refuse_values():
    with pytest.raises(ValueError, match="NearestCentroid only classifies, but n_classes=1"):
        make_learner("centroid", n_features=20, n_classes=1)
