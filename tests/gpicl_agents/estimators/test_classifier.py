from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from small_training import QUICK, small_env

from gpicl_agents import InContextClassifier, load_pretrained
from gpicl_agents.training.supervised import train
from gpicl_envs import make_learner


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
