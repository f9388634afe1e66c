import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score

from gpicl_agents import InContextRegressor
from gpicl_envs import make_learner


def linear(rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 5)) * [1, 10, 100, 1, 1] + 5
    return x, 1000 + 30 * (x @ [3.0, 0.2, -0.01, 1.0, 0.0])


@pytest.mark.parametrize("learner", [None, "ridge", "kernel-ridge", "multi-kernel-transformer"])
def test_a_linear_function_is_learned_whatever_its_scale(learner: str | None):
    x, y = linear()
    found = InContextRegressor(learner).fit(x[:90], y[:90])
    assert found.score(x[90:], y[90:]) > 0.85
    larger = InContextRegressor(learner).fit(x[:90], 1e6 * y[:90] - 3e7)
    assert np.allclose(larger.predict(x[90:]), 1e6 * found.predict(x[90:]) - 3e7, rtol=1e-3)


def test_the_default_is_as_good_as_published_baselines_on_diabetes():
    """R² of linear regression and of forests is 0.42 … 0.49 there."""
    x, y = load_diabetes(return_X_y=True)
    assert cross_val_score(InContextRegressor(), x, y, cv=5).mean() > 0.42


def test_values_scaled_for_the_learner_come_back_in_their_own_unit():
    x, y = linear()
    learner = make_learner("multi-kernel-transformer", n_features=5, n_classes=1, value_scale=4.0)
    assert InContextRegressor(learner).fit(x[:90], y[:90]).score(x[90:], y[90:]) > 0.85


def test_a_constant_is_predicted():
    x, _ = linear()
    assert np.allclose(InContextRegressor().fit(x, np.full(120, 3.5)).predict(x[:4]), 3.5)


def test_a_learner_of_classes_is_refused():
    x, y = load_iris(return_X_y=True)
    for learner in (make_learner("knn", n_features=4, n_classes=3), "pretrained:gpicl-small"):
        with pytest.raises(ValueError, match="classes, not real values: give it to InContextClassifier"):
            InContextRegressor(learner).fit(x, y)
    with pytest.raises(ValueError, match="only classifies, but n_classes=1"):
        InContextRegressor("lda").fit(x, y)


@pytest.mark.parametrize("unit", [1e-200, 1e160, 1e290])
def test_units_of_the_targets_scale_the_predictions(unit: float):
    x, y = load_diabetes(return_X_y=True)
    x, y = x[:90], y[:90]
    plain = InContextRegressor("ridge").fit(x[::2], y[::2]).predict(x[1::2])
    assert np.allclose(InContextRegressor("ridge").fit(x[::2], y[::2] * unit).predict(x[1::2]) / unit, plain, rtol=1e-4)


def test_targets_of_text_are_refused():
    with pytest.raises(ValueError, match="a regressor needs numbers"):
        InContextRegressor("ridge").fit(np.eye(3), np.array(["a", "b", "c"]))
