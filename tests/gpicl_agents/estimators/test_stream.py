"""A learner in river's progressive validation; skipped where river is not installed."""

import pickle

import numpy as np
import pytest

river = pytest.importorskip("river", reason="streams need the extra stream")

from river import checks, datasets, dummy, evaluate, metrics  # noqa: E402

from gpicl_agents.estimators.stream import StreamClassifier  # noqa: E402
from gpicl_envs import TaskDistribution, make_learner, register_dataset  # noqa: E402
from gpicl_envs import evaluate as evaluate_episodes  # noqa: E402


def score(model, n: int = 300) -> float:
    return evaluate.progressive_val_score(datasets.Phishing().take(n), model, metrics.Accuracy()).get()


def test_progressive_validation_is_far_above_the_most_frequent_class():
    assert score(StreamClassifier("kernel-ridge")) > max(0.8, score(dummy.PriorClassifier()) + 0.2)


def test_only_the_window_is_remembered():
    model = StreamClassifier("knn", window=10)
    for n in range(30):
        model.learn_one({"a": n, "b": 0.0}, n >= 20)
    assert model.predict_one({"a": 5, "b": 0.0}) is True and model.predict_proba_one({"a": 5})[True] > 0.7
    assert model._inside is not None and model._inside.rows_[:, 0].tolist() == list(range(20, 30))


def test_before_the_first_example_nothing_is_predicted():
    model = StreamClassifier("knn")
    assert model.predict_proba_one({"a": 1.0}) == {} and model.predict_one({"a": 1.0}) is None


def test_features_that_are_missing_count_as_0_and_others_are_ignored():
    model = StreamClassifier("knn")
    for n in range(10):
        model.learn_one({"a": n % 2, "b": 0.0}, "yes" if n % 2 else "no")
    assert model.predict_one({"a": 1, "c": 7}) == "yes" and model.predict_one({}) == "no"


def test_clones_and_pickles():
    model = StreamClassifier("knn", window=50)
    for x, y in datasets.Phishing().take(20):
        model.learn_one(x, y)
    again = pickle.loads(pickle.dumps(model))
    x = next(iter(datasets.Phishing()))[0]
    assert again.predict_proba_one(x) == model.predict_proba_one(x)
    copied = model.clone()
    assert copied.window == 50 and copied.predict_proba_one(x) == {}


@pytest.mark.usefixtures("clean_registry")
def test_a_stream_is_evaluated_in_its_own_order():
    rows = list(datasets.Phishing().take(300))
    x = np.array([list(features.values()) for features, _ in rows], np.float32)
    y = np.array([label for _, label in rows], int)
    register_dataset("phishing", x, y)
    tasks = TaskDistribution("phishing", order="stream", length=300, n_features=32, permute_labels=False)
    assert (tasks.sample(2).y.numpy() == y).all()
    known = evaluate_episodes(make_learner("kernel-ridge", tasks=tasks), tasks, episodes=2).scores.mean()
    frequent = evaluate_episodes(make_learner("majority", tasks=tasks), tasks, episodes=2).scores.mean()
    assert known > max(0.8, frequent + 0.2)


@pytest.mark.parametrize("check", ["check_repr", "check_str", "check_tags", "check_pickling", "check_learn_one"])
def test_river_s_checks(check: str):
    pytest.importorskip("river.checks")
    function = next(
        (f for f in checks.yield_checks(StreamClassifier("knn")) if check in getattr(f, "__name__", "")), None
    )
    if function is None:
        pytest.skip(f"this river has no {check}")
    np.random.seed(0)
    function(StreamClassifier("knn"))


def test_an_example_that_is_refused_leaves_nothing_behind():
    model = StreamClassifier("knn")
    with pytest.raises(ValueError, match="abc"):
        model.learn_one({"id": "abc"}, 0)
    assert model.predict_proba_one({"a": 1.0}) == {} and model.predict_one({"a": 1.0}) is None
    for i in range(8):
        model.learn_one({"a": float(i % 2)}, i % 2)
    assert model.predict_one({"a": 1.0}) == 1 and model.predict_one({"a": 0.0}) == 0
    before = model.predict_proba_one({"a": 1.0})
    with pytest.raises(ValueError, match="one kind"):
        model.learn_one({"a": 1.0}, "one")
    assert model.predict_proba_one({"a": 1.0}) == before


@pytest.mark.parametrize("window", [1, 3])
def test_labels_outside_the_window_are_forgotten(window: int):
    model = StreamClassifier(window=window)
    for i in range(15):  # more labels than the learner has outputs
        model.learn_one({"a": float(i % 2), "b": float(i)}, str(i))
    assert set(model.predict_proba_one({"a": 1.0, "b": 2.0})) == {str(i) for i in range(15 - window, 15)}
