from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from small_training import QUICK, small_env

from gpicl_agents import InContextClassifier, load_pretrained
from gpicl_agents.training.supervised import train
from gpicl_envs import Learner, make_learner


@pytest.fixture
def iris() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_iris(return_X_y=True)
    return x[::2], y[::2]


def test_one_nearest_neighbour_is_scikit_learn_s(iris: tuple[np.ndarray, np.ndarray]):
    """Standardising and placing columns keeps their distances."""
    x, y = iris
    found = InContextClassifier("knn,metric=euclidean", n_estimators=1).fit(x[::2], y[::2]).predict(x[1::2])
    scaled = (x - x[::2].mean(0)) / x[::2].std(0)
    expected = KNeighborsClassifier(1).fit(scaled[::2], y[::2]).predict(scaled[1::2])
    assert np.mean(found == expected) > 0.97


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer], ids=["iris", "wine", "cancer"])
@pytest.mark.parametrize("learner", ["kernel-ridge", "multi-kernel-transformer", None])
def test_real_tables_are_learned(load: Any, learner: str):
    x, y = load(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(x))[:120]
    estimator = InContextClassifier(learner, n_estimators=2)
    assert cross_val_score(estimator, x[chosen], y[chosen], cv=3).mean() > 0.85


def test_probabilities_are_those_of_classes_of_any_type(iris: tuple[np.ndarray, np.ndarray]):
    x, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    estimator = InContextClassifier("kernel-ridge").fit(x, names)
    probabilities = estimator.predict_proba(x)
    assert estimator.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert probabilities.shape == (75, 3) and np.allclose(probabilities.sum(1), 1)
    assert (estimator.predict(x) == names).mean() > 0.95


def test_the_order_of_labels_means_nothing():
    """Renaming the labels renames the predictions: slots are random, ten of them for three classes."""
    x, y = load_iris(return_X_y=True)
    one = InContextClassifier("pretrained:gpicl-small-kernel", n_estimators=8).fit(x[::2], y[::2])
    other = InContextClassifier("pretrained:gpicl-small-kernel", n_estimators=8).fit(x[::2], 2 - y[::2])
    assert np.mean(one.predict(x[1::2]) == 2 - other.predict(x[1::2])) > 0.95


def test_one_class_is_predicted_for_certain(iris: tuple[np.ndarray, np.ndarray]):
    x, _ = iris
    estimator = InContextClassifier("knn").fit(x, np.full(75, 7))
    assert estimator.predict_proba(x).tolist() == [[1.0]] * 75 and set(estimator.predict(x)) == {7}


def test_labels_of_a_stream_may_be_new(iris: tuple[np.ndarray, np.ndarray]):
    x, y = iris
    estimator = InContextClassifier("knn").partial_fit(x[y < 2], y[y < 2])
    assert estimator.classes_.tolist() == [0, 1] and estimator.learner_.n_classes == 2
    estimator.partial_fit(x[y == 2], y[y == 2])
    assert estimator.classes_.tolist() == [0, 1, 2] and (estimator.predict(x) == y).mean() > 0.95
    announced = InContextClassifier("knn").partial_fit(x[y < 2], y[y < 2], classes=[0, 1, 2, 3])
    assert announced.predict_proba(x).shape == (75, 4)


def test_more_classes_than_outputs_are_refused_and_decomposed():
    x, y = load_digits(return_X_y=True)
    x, y = x[:400], y[:400]
    few = make_learner("knn", n_features=64, n_classes=4)
    with pytest.raises(ValueError, match="y has 10 classes, but 1-nn-cosine has 4 outputs.*OneVsRestClassifier"):
        InContextClassifier(few).fit(x, y)
    for made in (OneVsRestClassifier, OutputCodeClassifier):
        assert made(InContextClassifier(few, n_estimators=1)).fit(x[:300], y[:300]).score(x[300:], y[300:]) > 0.7
    more = InContextClassifier("kernel-ridge").fit(x, y * 7 % 23)  # a learner by name has the outputs that are needed
    assert more.learner_.n_classes == 10


def test_values_and_learners_of_values_are_refused(iris: tuple[np.ndarray, np.ndarray]):
    x, _ = iris
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        InContextClassifier("knn").fit(x, x[:, 0])
    of_values = make_learner("knn", n_features=4, n_classes=1)
    with pytest.raises(ValueError, match="predicts real values .*: give it to InContextRegressor"):
        InContextClassifier(of_values).fit(x, np.arange(75) % 3)


def test_a_run_folder_is_a_learner(tmp_path: Path, iris: tuple[np.ndarray, np.ndarray]):
    x, y = iris
    learner = make_learner("gru", n_features=32, n_classes=10)
    train(learner, small_env(), QUICK, folder=tmp_path / "run")
    estimator = InContextClassifier(str(tmp_path / "run"), n_estimators=1, max_context=20).fit(x, y)
    assert estimator.learner_.n_features == 32 and estimator.predict_proba(x[:2]).shape == (2, 3)


def test_a_pretrained_learner_given_as_such_or_by_name_predicts_the_same(iris: tuple[np.ndarray, np.ndarray]):
    x, y = iris
    by_name = InContextClassifier("pretrained:gpicl-small", n_estimators=1).fit(x, y).predict_proba(x[:9])
    given = InContextClassifier(load_pretrained("gpicl-small"), n_estimators=1).fit(x, y).predict_proba(x[:9])
    assert np.array_equal(by_name, given)


def test_what_is_refused_changes_nothing():
    x, y = load_digits(return_X_y=True)
    classifier = InContextClassifier("pretrained:gpicl-small", n_estimators=1).fit(x[:100], y[:100])
    expected = classifier.predict_proba(x[100:110])
    for refused in (
        lambda: classifier.partial_fit(x[:1], [10]),
        lambda: classifier.partial_fit(x[:1], [-1]),
        lambda: classifier.partial_fit(x[:1], ["2"]),
        lambda: classifier.partial_fit(x[:1], [2], classes=["a"]),
        lambda: classifier.partial_fit(x[:1], [1], classes=range(12)),
        lambda: classifier.fit(x[:20, :3] * np.nan, y[:20]),
        lambda: classifier.fit(x[:150, :4], np.arange(150)),
    ):
        with pytest.raises(ValueError, match=r"has 1[12] classes|NaN|y has 150 classes|labels of one kind"):
            refused()
        assert np.array_equal(classifier.predict_proba(x[100:110]), expected)


@pytest.mark.parametrize("unit", [1e-9, 1e-200, 1e300])
def test_units_of_the_columns_change_nothing(iris: tuple[np.ndarray, np.ndarray], unit: float):
    x, y = iris
    plain = InContextClassifier("kernel-ridge").fit(x[::2], y[::2]).predict_proba(x[1::2])
    scaled = InContextClassifier("kernel-ridge").fit(x[::2] * unit, y[::2]).predict_proba(x[1::2] * unit)
    assert np.allclose(plain, scaled, atol=1e-3)


def test_a_module_that_was_given_is_neither_moved_nor_changed(iris: tuple[np.ndarray, np.ndarray]):
    """In training mode, one thread would switch dropout on under another."""
    x, y = iris
    learner = load_pretrained("gpicl-small-kernel").train()
    classifier = InContextClassifier(learner).fit(x, y)
    assert learner.training and classifier.learner_ is not learner and not classifier.learner_.training


class NotANumber(Learner):
    def predict(self, x, y):
        return torch.full((*y.shape, self.n_classes), torch.nan)


class TooFew(Learner):
    def predict(self, x, y):
        return torch.zeros(*y.shape, self.n_classes - 1)


@pytest.mark.parametrize("kind", [NotANumber, TooFew])
def test_what_is_no_prediction_is_refused(iris: tuple[np.ndarray, np.ndarray], kind: type[Learner]):
    x, y = iris
    with pytest.raises(ValueError, match=r"predicted NaN, or another shape than its \(Q, 3\)"):
        InContextClassifier(kind(4, 3)).fit(x, y).predict(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learner": "oracle"}, "a table has none"),
        ({"max_context": -1}, "max_context=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
    ],
    ids=str,
)
def test_arguments_are_checked_by_fit(iris: tuple[np.ndarray, np.ndarray], arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        InContextClassifier(**arguments).fit(*iris)


def test_classes_that_are_no_labels_are_refused_and_none_are_none(iris: tuple[np.ndarray, np.ndarray]):
    with pytest.raises(ValueError, match="NaN"):
        InContextClassifier("knn").partial_fit(*iris, classes=[0.0, np.nan])
    assert InContextClassifier("knn").partial_fit(*iris, classes=[]).classes_.dtype.kind == "i"
