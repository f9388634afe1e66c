import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression as SkLogistic

from gpicl_baselines.classical.causal import centred, unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution


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


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_each_example_adds_accelerated_steps_with_restarts(steps: int):
    """Nesterov's momentum as O'Donoghue and Candès (2015) restart it, for one episode and in double precision."""
    episodes = TaskDistribution("MNIST", split="test", length=14, n_features=64, n_classes=3).sample(1, seed=2)
    learner = make_learner("logistic", n_features=64, n_classes=3, regularization=0.01, steps=steps)
    logits = learner.predict(episodes.x, episodes.y)[0].numpy()
    z = unit(centred(episodes.x))[0].double().numpy()
    products, labels, alpha = z @ z.T / 64, np.eye(3)[episodes.y[0].numpy()], np.zeros((0, 3))
    restarted = 0
    for n in range(1, 14):
        gram, alpha = products[:n, :n], np.vstack([alpha, np.zeros(3)])
        ahead, momentum = alpha, 1.0
        for _ in range(steps):
            slope = softmax(gram @ ahead, axis=1) - labels[:n] + 0.01 * ahead
            step = np.linalg.solve(gram / 2 + 0.01 * np.eye(n), slope)
            new = ahead - step
            progress, grown = new - alpha, (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            restarts = (step * progress).sum() > 0
            restarted += int(restarts)
            ahead = new if restarts else new + (momentum - 1) / grown * progress
            momentum, alpha = 1.0 if restarts else grown, new
        assert logits[n] == pytest.approx(products[n, :n] @ alpha, abs=1e-3)
    assert restarted or steps < 12
