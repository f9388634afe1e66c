import pytest
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
