"""Known answers: scikit-learn and direct solves on the same contexts, at every position."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from gpicl_baselines.context import centred, unit
from gpicl_envs.learner import make_learner
from gpicl_envs.tasks import TaskDistribution
from gpicl_envs.testing import check_learner

POSITIONS = (12, 25, 39)


@pytest.fixture(scope="module")
def episodes():
    return TaskDistribution("MNIST", split="test", length=40, n_features=64).sample(12, seed=1)


def contexts(episodes, transform=lambda x: x):
    """Each episode at each position: what was seen, and what is asked."""
    x = transform(episodes.x).double().numpy()
    for b, y in enumerate(episodes.y.numpy()):
        for n in POSITIONS:
            yield b, n, x[b, :n], y[:n], x[b, n]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3])
def test_neighbours_agree_with_scikit_learn(episodes, metric: str, k: int):
    logits = make_learner("knn", n_features=64, k=k, metric=metric).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes):
        model = KNeighborsClassifier(k, metric=metric).fit(x, y)
        votes = np.zeros(10)
        votes[model.classes_] = k * model.predict_proba(query[None])[0]
        assert logits[b, n].exp().numpy() == pytest.approx((votes + 0.1) / (k + 1), abs=1e-5)


def test_centroids_agree_with_scikit_learn(episodes):
    predicted = make_learner("centroid", n_features=64).predict(episodes.x, episodes.y).argmax(2)
    for b, n, x, y, query in contexts(episodes):
        assert predicted[b, n] == NearestCentroid().fit(x, y).predict(query[None])[0]


def test_ridge_agrees_with_scikit_learn_at_every_position(episodes):
    learner = make_learner("ridge", n_features=64, regularization=0.5, sharpness=1.0)
    logits = learner.predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, lambda x: unit(centred(x))):
        model = Ridge(alpha=0.5 * 64, fit_intercept=False).fit(x, np.eye(10)[y] - 0.1)
        assert logits[b, n].numpy() == pytest.approx(model.predict(query[None])[0], abs=1e-4)


def test_kernel_ridge_agrees_with_scikit_learn_at_every_position(episodes):
    learner = make_learner("kernel-ridge", n_features=64, gamma=1.2, regularization=0.05, sharpness=1.0)
    logits = learner.predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, unit):
        model = KernelRidge(kernel="rbf", gamma=1.2 / 64, alpha=0.05).fit(x, np.eye(10)[y] - 0.1)
        assert logits[b, n].numpy() == pytest.approx(model.predict(query[None])[0], abs=1e-4)


def test_sgd_is_autograds_gradient_step(episodes):
    logits = make_learner("sgd", n_features=64, learning_rate=2.0).predict(episodes.x, episodes.y)
    features = torch.nn.functional.normalize(centred(episodes.x), dim=2)
    weights = torch.zeros(10, 64, requires_grad=True)
    for n in range(40):
        output = features[0, n] @ weights.T
        assert torch.allclose(logits[0, n], output, atol=1e-4)
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(output, episodes.y[0, n]), weights)
        weights = (weights - 2.0 * gradient).detach().requires_grad_()


def test_majority_is_the_rule_of_succession():
    y = torch.tensor([[1, 1, 0]])
    logits = make_learner("majority", n_features=1, n_classes=2).predict(torch.zeros(1, 3, 1), y)
    assert torch.allclose(logits.exp(), torch.tensor([[[1 / 2, 1 / 2], [1 / 3, 2 / 3], [1 / 4, 3 / 4]]]))


def test_before_any_example_all_labels_are_equal(episodes):
    for name in ("knn", "centroid", "ridge", "kernel-ridge", "sgd", "majority", "uniform"):
        first = make_learner(name, n_features=64).predict(episodes.x, episodes.y)[:, 0]
        assert torch.allclose(first, first[:, :1].expand_as(first)), name


def test_a_class_not_seen_yet_is_the_last_choice_of_centroids():
    x, y = torch.randn(1, 4, 3), torch.tensor([[2, 2, 0, 1]])
    logits = make_learner("centroid", n_features=3, n_classes=4).predict(x, y)
    assert (logits[0, 2, 2] > logits[0, 2, [0, 1, 3]]).all()


@pytest.mark.parametrize("name", ["knn", "centroid", "ridge", "kernel-ridge", "sgd", "majority", "uniform"])
@pytest.mark.parametrize("sizes", [(1, 2), (784, 10), (50, 30)])
def test_any_number_of_features_and_classes_will_do(name: str, sizes: tuple[int, int]):
    check_learner(make_learner(name, n_features=sizes[0], n_classes=sizes[1]), length=6)
