"""What classifier and regressor share; and scikit-learn's own checks of both."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import gpicl_agents
from gpicl_agents import InContextClassifier, InContextRegressor
from gpicl_agents.estimators.base import choose
from gpicl_envs import make_learner

ROUNDED = {  # kernel matrices in float32: the last bits depend on how many rows are predicted at once
    "check_methods_sample_order_invariance": "float32",
    "check_methods_subset_invariance": "float32",
}
BOTH = pytest.mark.parametrize("made", [InContextClassifier, InContextRegressor])
BOTH_FITTED = pytest.mark.parametrize(
    ("made", "data"), [(InContextClassifier, load_iris), (InContextRegressor, load_diabetes)]
)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (InContextClassifier("knn", n_estimators=2), {}),
        pytest.param(InContextClassifier("kernel-ridge", n_estimators=1), ROUNDED, marks=pytest.mark.slow),
        pytest.param(InContextRegressor("knn,k=3", n_estimators=2), {}, marks=pytest.mark.slow),
        (InContextRegressor(n_estimators=1), ROUNDED),
    ],
    ids=str,
)
def test_scikit_learn_s_checks_pass(estimator: Any, expected: dict[str, str]):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, expected_failed_checks=expected, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed and len(results) > 40


def test_both_are_public_and_imported_when_first_used():
    assert {"InContextClassifier", "InContextRegressor"} <= set(gpicl_agents.__all__)
    assert InContextClassifier().get_params() == InContextRegressor().get_params()


@BOTH_FITTED
def test_pipelines_searches_clones_and_pickles(made: type, data: Any):
    x, y = data(return_X_y=True)
    x, y = x[::3], y[::3]
    pipeline = make_pipeline(StandardScaler(), made("knn", n_estimators=2))
    assert cross_val_score(pipeline, x, y, cv=3).mean() > (0.85 if made is InContextClassifier else 0.05)
    search = GridSearchCV(made("knn"), {"learner": ["knn", "kernel-ridge"], "n_estimators": [1, 2]}, cv=2).fit(x, y)
    assert search.best_params_["learner"] in ("knn", "kernel-ridge")
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict(x), search.predict(x))
    assert np.array_equal(clone(search.best_estimator_).fit(x, y).predict(x), search.predict(x))


def test_a_learner_keeps_its_weights_in_a_clone():
    learner = make_learner("gru", n_features=4, n_classes=3)
    copied = clone(InContextClassifier(learner))
    assert copied.learner is learner


@BOTH_FITTED
def test_rows_may_come_in_parts(made: type, data: Any):
    """The context is the same, so the predictions are."""
    x, y = data(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:60]
    whole = made("knn", n_estimators=2).fit(x[order], y[order])
    parts = made("knn", n_estimators=2)
    for start in range(0, 60, 20):
        rows = order[start : start + 20]
        parts.partial_fit(x[rows], y[rows])
    assert np.array_equal(whole.predict(x), parts.predict(x))
    refitted = parts.fit(x[order[:30]], y[order[:30]])
    assert len(refitted.rows_) == 30


@BOTH_FITTED
def test_more_columns_than_inputs_and_one_column(made: type, data: Any):
    x, y = data(return_X_y=True)
    wide = np.concatenate([x] + [np.random.default_rng(0).normal(size=(len(x), 200))], 1)
    k = 3 if made is InContextClassifier else 1
    narrow = made(make_learner("knn", n_features=20, n_classes=k)).fit(wide, y)
    assert narrow.predict(wide[:5]).shape == (5,)
    assert made("knn").fit(x[:, 2:3], y).predict(x[:5, 2:3]).shape == (5,)


@BOTH
def test_a_million_rows_are_chosen_from(made: type):
    x = np.random.default_rng(0).normal(size=(1_000_000, 3))
    y = (x[:, 0] > 0).astype(int) if made is InContextClassifier else x[:, 0]
    estimator = made("knn", n_estimators=2, max_context=200).fit(x, y)
    assert np.corrcoef(estimator.predict(x[:300]), y[:300])[0, 1] > 0.7


def test_choices_keep_the_proportions_of_groups():
    group = np.repeat([0, 1, 2], [900, 98, 2])
    chosen = choose(np.random.default_rng(0), group, 100)
    assert np.bincount(group[chosen]).tolist() == [90, 9, 1] and len(set(chosen.tolist())) == 100
    assert not np.array_equal(np.sort(chosen), chosen)
    few = choose(np.random.default_rng(0), group[:50], 100)
    assert np.array_equal(np.sort(few), np.arange(50))
    assert len(choose(np.random.default_rng(0), np.zeros(1000, np.int64), 77)) == 77


@BOTH
def test_batches_change_nothing(made: type):
    x, y = load_iris(return_X_y=True)
    one, other = (made("knn", batch_size=size).fit(x, y).predict(x) for size in (7, 256))
    assert np.allclose(one, other, atol=1e-4)


@BOTH
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_estimators": 0}, "n_estimators=0"),
        ({"max_context": 0}, "max_context=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learner": "knnn"}, "Unknown learner 'knnn'. Did you mean 'knn'"),
        ({"learner": 3}, "3 describes no learner"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(made: type, arguments: dict[str, Any], message: str):
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        made(**({"learner": "knn"} | arguments)).fit(x, y).predict(x)


@BOTH
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: np.where(x > 2, np.nan, x), ValueError, "Input X contains NaN"),
        (lambda x: x.astype(str).astype(object) + "a", ValueError, "could not convert string to float"),
        (lambda x: csr_array(x), TypeError, "[Ss]parse.*dense data is required"),
        (lambda x: x[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (lambda x: x[:0], ValueError, "Found array with 0 sample"),
    ],
    ids=["nan", "strings", "sparse", "vector", "empty"],
)
def test_bad_tables_are_refused_as_scikit_learn_does(made: type, change: Any, error: type, message: str):
    x, y = load_iris(return_X_y=True)
    bad = change(x)
    with pytest.raises(error, match=message):
        made("knn").fit(bad, y[: bad.shape[0]])
    if message != "Found array with 0 sample":
        with pytest.raises(error, match=message):
            made("knn").fit(x, y).predict(bad)


def test_predictions_need_no_gradient_and_leave_the_mode_alone():
    learner: Any = make_learner("gru", n_features=4, n_classes=3).train()
    x, y = load_iris(return_X_y=True)
    assert InContextClassifier(learner, max_context=30).fit(x, y).predict_proba(x[:3]).shape == (3, 3)
    assert learner.training and all(parameter.grad is None for parameter in learner.parameters())
    assert torch.is_grad_enabled()
