"""Known answers: scikit-learn and direct solves on the same contexts, at every position."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression as SkLogistic
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.semi_supervised import LabelSpreading

from gpicl_baselines.classical.causal import centred, unit
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution

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


def test_ridge_equals_a_direct_solve_at_every_position(episodes):
    logits = make_learner("ridge", n_features=64, regularization=0.5, sharpness=1.0).predict(episodes.x, episodes.y)
    z = unit(centred(episodes.x)).double().numpy()
    for b, y in enumerate(episodes.y.numpy()):
        for n in range(1, 40):
            seen = z[b, :n]
            weights = np.linalg.solve(seen.T @ seen / 64 + 0.5 * np.eye(64), seen.T @ (np.eye(10)[y[:n]] - 0.1) / 64)
            assert logits[b, n].numpy() == pytest.approx(z[b, n] @ weights, abs=1e-4)


def smooth(model, query, n: int) -> np.ndarray:
    """The model's probabilities with one more example of each class."""
    probabilities = np.zeros(10)
    probabilities[model.classes_] = model.predict_proba(query[None])[0]
    return (n * probabilities + 1) / (n + 10)


def test_naive_bayes_agrees_with_scikit_learn(episodes):
    logits = make_learner("naive-bayes", n_features=64, smoothing=0.3).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes):
        expected = smooth(GaussianNB(var_smoothing=0.3).fit(x, y), query, n)
        assert logits[b, n].exp().numpy() == pytest.approx(expected, abs=1e-3)


def test_label_propagation_agrees_with_scikit_learn(episodes):
    logits = make_learner("label-propagation", n_features=64, gamma=4.0, alpha=0.6).predict(episodes.x, episodes.y)
    for b, n, x, y, query in contexts(episodes, unit):
        model = LabelSpreading(kernel="rbf", gamma=4.0 / 64, alpha=0.6, max_iter=1000, tol=1e-9)
        model.fit(np.vstack([x, query]), np.append(y, -1))
        expected = np.zeros(10)
        expected[model.classes_] = model.label_distributions_[-1]
        assert logits[b, n].exp().numpy() == pytest.approx((n * expected + 1) / (n + 10), abs=1e-3)


def test_logistic_regression_agrees_with_scikit_learn():
    """Where every class was seen; scikit-learn knows no others."""
    episodes = TaskDistribution("MNIST", split="test", length=60, n_features=64, n_classes=3).sample(6, seed=2)
    logits = make_learner("logistic", n_features=64, n_classes=3, regularization=0.1).predict(episodes.x, episodes.y)
    z = unit(centred(episodes.x)).double().numpy() / 8
    for b, y in enumerate(episodes.y.numpy()):
        for n in (20, 40, 59):
            model = SkLogistic(C=10.0, fit_intercept=False, tol=1e-8, max_iter=10_000).fit(z[b, :n], y[:n])
            assert model.classes_.tolist() == [0, 1, 2]
            expected = model.decision_function(z[b, n : n + 1])[0]
            ours = logits[b, n].numpy()
            assert ours - ours.mean() == pytest.approx(expected - expected.mean(), abs=5e-3)


def test_discriminants_equal_those_of_the_covariance_written_out(episodes):
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


def test_the_gaussian_process_has_the_posterior_of_scikit_learn(episodes):
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


@pytest.mark.parametrize("name", ["knn", "ridge", "kernel-ridge", "majority", "least-squares"])
def test_learners_of_values_keep_the_protocol_and_beat_nothing(name: str):
    learner = make_learner(name, n_features=20, n_classes=1)
    check_learner(learner, length=30)
    curve = evaluate(learner, FunctionDistribution("LinearRegression", length=41), episodes=100)
    assert curve.mean[-1] < 1.3 * curve.mean[0]  # E y² = D at first


def test_classifiers_refuse_values():
    with pytest.raises(ValueError, match="NearestCentroid only classifies: n_classes=1"):
        make_learner("centroid", n_features=20, n_classes=1)


@pytest.mark.parametrize("name", ["naive-bayes", "lda", "logistic", "gaussian-process", "label-propagation"])
def test_every_classical_baseline_keeps_the_protocol_and_learns(name: str):
    check_learner(make_learner(name, n_features=32, n_classes=4), length=20)
    curve = evaluate(make_learner(name), TaskDistribution("MNIST", split="test"), episodes=32)
    assert 0.55 < curve.final.mean < 0.85 and curve.mean[0] < 0.35
