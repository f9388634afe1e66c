import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB

from gpicl_baselines.adapters.estimator import EstimatorLearner
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import LearnerSpec, make_learner
from gpicl_envs.tasks.classification import TaskDistribution

TASKS = {"split": "test", "length": 24, "n_features": 16}


class Foundation:
    """What TabPFN looks like from outside: fit keeps the context, predict_proba does the work."""

    def fit(self, X, y):  # noqa: N803
        assert X.shape[1] <= 4, "too many features"
        self.classes_, self.X, self.y = np.unique(y), X, y
        return self

    def predict_proba(self, X):  # noqa: N803
        near = np.exp(-((X[:, None] - self.X) ** 2).sum(2))
        mass = np.stack([near[:, self.y == c].sum(1) for c in self.classes_], 1) + 1e-9
        return mass / mass.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ["DecisionTreeClassifier", "RidgeClassifier", "Perceptron"])
def test_any_classifier_of_scikit_learn_passes_the_check(name: str):
    """One with probabilities, one with scores, one whose fit is random."""
    learner = make_learner(f"sklearn:{name}", n_features=6, n_classes=3)
    check_learner(learner, batch_size=2, length=10)
    assert learner.name == name


def test_it_is_the_estimator_fitted_on_the_examples_before():
    episodes = TaskDistribution("MNIST", **TASKS).sample(3, seed=4)
    probabilities = make_learner("sklearn:GaussianNB", n_features=16).predict(episodes.x, episodes.y).exp()
    for b in range(3):
        x, y = episodes.x[b].numpy(), episodes.y[b].numpy()
        model = GaussianNB().fit(x[:20], y[:20])
        expected = np.zeros(10)
        expected[model.classes_] = model.predict_proba(x[20:21])[0]
        assert probabilities[b, 20].numpy() == pytest.approx((20 * expected + 1) / 30, abs=1e-5)


def test_between_refits_the_last_fit_predicts():
    episodes = TaskDistribution("MNIST", **TASKS).sample(2)
    often, seldom = (
        LearnerSpec.parse(f"sklearn:GaussianNB,refit_every={every}").make_for(TaskDistribution("MNIST", **TASKS))
        for every in (1, 10)
    )
    a, b = (learner.predict(episodes.x, episodes.y) for learner in (often, seldom))
    assert torch.equal(a[:, 2], b[:, 2]) and torch.equal(a[:, 12], b[:, 12]) and not torch.equal(a[:, 11], b[:, 11])


def test_an_estimator_with_few_features_sees_principal_components():
    tasks = TaskDistribution("MNIST", **TASKS)
    curve = evaluate(EstimatorLearner(Foundation(), 16, max_features=4), tasks, episodes=40)
    assert curve.final.low > 0.15
    with pytest.raises(AssertionError, match="too many features"):
        evaluate(EstimatorLearner(Foundation(), 16), tasks, episodes=2)
    named = make_learner("sklearn:sklearn.linear_model:RidgeClassifier", n_features=16)
    assert isinstance(named.estimator, RidgeClassifier)


class Strict(GaussianNB):
    """Takes the labels 0 … k − 1 alone, as XGBoost does."""

    def fit(self, X, y):  # noqa: N803
        if sorted(set(y.tolist())) != list(range(len(set(y.tolist())))):
            raise ValueError(f"Invalid classes inferred from unique values of `y`: {np.unique(y)}")
        return super().fit(X, y)


class Nameless:
    """Has no classes_, and predicts labels alone."""

    def fit(self, X, y):  # noqa: N803
        self.X, self.y = X, y
        return self

    def predict(self, X):  # noqa: N803
        return self.y[[((self.X - row) ** 2).sum(1).argmin() for row in X]]


def test_estimators_see_labels_from_0_on_whatever_has_been_seen():
    episodes = TaskDistribution("MNIST", **TASKS).sample(3, seed=4)
    strict, plain = (EstimatorLearner(made, 16).predict(episodes.x, episodes.y) for made in (Strict(), GaussianNB()))
    assert torch.equal(strict, plain)
    predicted = EstimatorLearner(Nameless(), 16).predict(episodes.x, episodes.y).argmax(2)
    for b, n in ((0, 23), (1, 9), (2, 14)):
        nearest = (episodes.x[b, :n] - episodes.x[b, n]).square().sum(1).argmin()
        assert predicted[b, n] == episodes.y[b, nearest]
    check_learner(EstimatorLearner(Strict(), 6, 5), batch_size=2, length=12)


@pytest.mark.parametrize(
    "spec",
    ["xgboost:XGBClassifier,verbosity=0", "lightgbm:LGBMClassifier,min_child_samples=2,verbose=-1"],
)
def test_gradient_boosting_of_other_packages_learns(spec: str):
    pytest.importorskip(spec.partition(":")[0], reason="an optional package of the user's")
    tasks = TaskDistribution("Digits", split="test", length=60, n_features=64, n_classes=3)
    learner = make_learner(f"sklearn:{spec},n_estimators=9,n_jobs=1,refit_every=19,first_fit=20", tasks=tasks)
    assert evaluate(learner, tasks, episodes=16).final.low > 0.4


def test_a_check_is_told_where_an_estimator_is_refitted():
    learner = EstimatorLearner(GaussianNB(), refit_every=25)
    assert learner.critical_positions(100) == [2, 77] and learner.critical_positions(2) == []


def test_wrong_names_and_arguments_are_named():
    with pytest.raises(ValueError, match="Unknown scikit-learn classifier 'RandomForest'.*RandomForestClassifier"):
        make_learner("sklearn:RandomForest")
    with pytest.raises(ValueError, match="unexpected keyword argument 'depth'"):
        make_learner("sklearn:DecisionTreeClassifier", depth=3)
    with pytest.raises(ValueError, match="has no method fit"):
        EstimatorLearner(object())


def test_a_classifier_can_wrap_another_one():
    made = make_learner(
        "sklearn:OneVsRestClassifier,estimator=LogisticRegression,refit_every=5", n_features=6, n_classes=3
    )
    assert isinstance(made.estimator.estimator, LogisticRegression) and made.refit_every == 5
    check_learner(made, batch_size=2, length=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("StackingClassifier", "needs a list of estimators, which a text cannot give: in Python, make"),
        ("VotingClassifier,estimators=SVC", "needs a list of estimators, which a text cannot give"),
        ("OneVsRestClassifier", "OneVsRestClassifier needs estimator: give values"),
        ("OneVsRestClassifier,estimator=SVM", "Unknown scikit-learn classifier 'SVM'"),
        (
            "KNeighborsClassifier,estimator=SVC",
            "unexpected keyword argument 'estimator'.*first_fit.*n_neighbors",
        ),
        ("CalibratedClassifierCV", "CalibratedClassifierCV cannot be fitted to 2 examples: .*raise first_fit"),
        ("LogisticRegression,C=abc", "LogisticRegression cannot be fitted to 2 examples: .*'C' parameter"),
        ("KNeighborsClassifier", "KNeighborsClassifier was fitted, but cannot predict: .*n_neighbors = 5"),
        ("ComplementNB", "ComplementNB cannot be fitted to 2 examples: Negative values"),
        ("LogisticRegression,name=x", "unexpected keyword argument 'name'"),
    ],
)
def test_what_a_classifier_refuses_is_said_with_its_name(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        check_learner(make_learner(f"sklearn:{text}", n_features=6, n_classes=3), batch_size=2, length=8)


def test_a_classifier_of_another_package_is_looked_up_like_any_class():
    with pytest.raises(ValueError, match="there is no module 'tabbpfn' on the import path"):
        make_learner("sklearn:tabbpfn:TabPFNClassifier")
    with pytest.raises(ValueError, match="'RidgeClasifier'. Did you mean 'RidgeClassifier'"):
        make_learner("sklearn:sklearn.linear_model:RidgeClasifier")


def test_an_estimator_that_writes_into_its_inputs_gives_the_predictions_of_one_that_does_not():
    class InPlace(GaussianNB):
        """Centres what it is given, as scikit-learn does with copy_X=False."""

        def fit(self, X, y):  # noqa: N803
            super().fit(X, y)
            X -= 5.0
            return self

        def predict_proba(self, X):  # noqa: N803
            probabilities = super().predict_proba(X)
            X -= 5.0
            return probabilities

    episodes = TaskDistribution("MNIST", **TASKS).sample(2, seed=4)
    inplace, plain = (
        EstimatorLearner(made, 16).predict(episodes.x, episodes.y).clone() for made in (InPlace(), GaussianNB())
    )
    assert torch.equal(inplace, plain)


def test_a_regressor_is_refused():
    with pytest.raises(ValueError, match=r"LinearRegression\(\) is a regressor"):
        make_learner("sklearn:sklearn.linear_model:LinearRegression")


def test_no_processes_are_refused():
    with pytest.raises(ValueError, match="jobs=0 is not allowed"):
        EstimatorLearner(GaussianNB(), jobs=0)


SOURCE = """
from sklearn.linear_model import LogisticRegression
class Mine(LogisticRegression):
    {body}
"""


@pytest.mark.parametrize("text", ["sklearn:{m}:Mine,scaled=True", "sklearn:AdaBoostClassifier,estimator={m}:Mine"])
def test_the_code_of_an_estimator_inside_another_counts(tmp_path, monkeypatch: pytest.MonkeyPatch, text: str):
    """A benchmark that is resumed runs again what has changed."""
    monkeypatch.syspath_prepend(tmp_path)
    adapted = []
    for name in ("mine_before", "mine_after"):
        (tmp_path / f"{name}.py").write_text(SOURCE.format(body="pass"))
        adapted.append(make_learner(text.format(m=name)).adapts)
    assert any(kind.__module__ == "mine_before" for kind in adapted[0])
    assert any(kind.__module__ == "mine_after" for kind in adapted[1])
