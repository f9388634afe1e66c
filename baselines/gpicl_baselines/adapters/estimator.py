"""Any scikit-learn classifier as a learner: refitted to the previous examples, episode by episode."""

import inspect
import warnings
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gpicl_baselines.adapters.tuning import FOLDS, search
from gpicl_baselines.classical.causal import smoothed
from gpicl_envs.errors import UnknownNameError, check_bool, check_integer, construct
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import find_class

LEAST_EXAMPLES = 2


class EstimatorLearner(Learner):
    """An object with `fit(X, y)` and `predict(X)`, `predict_proba(X)` or `decision_function(X)`: scikit-learn, TabPFN.

    Before the first fit, and as long as only one class has been seen, it predicts the observed class frequencies.
    Features that are equal in all previous examples are left out. Episodes of a batch that differ in the last example
    alone, such as the queries of one table, share their fits.

    Args:
        estimator: cloned for every fit (by `sklearn.base.clone`; by `copy.deepcopy` if it is not scikit-learn's).
        refit_every: examples between two fits; in between, the last fit predicts.
        first_fit: number of examples at the first fit, at least 2.
        max_features: number of principal components of the previous examples that the estimator sees, for one that
            takes only so many features; None shows it all features.
        jobs: processes over the episodes of a batch (joblib).
    """

    def __init__(
        self,
        estimator: Any,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        refit_every: int = 1,
        first_fit: int = LEAST_EXAMPLES,
        max_features: int | None = None,
        jobs: int = 1,
    ) -> None:
        super().__init__(n_features, n_classes)
        if not callable(getattr(estimator, "fit", None)):
            raise ValueError(f"{estimator!r} has no method fit(X, y): give a classifier, such as LogisticRegression().")
        if isinstance(estimator, BaseEstimator) and is_regressor(estimator):
            raise ValueError(f"{estimator!r} is a regressor, and labels are no values: give a classifier.")
        self.estimator = estimator
        self.refit_every = check_integer("refit_every", refit_every, 1)
        self.first_fit = check_integer("first_fit", first_fit, LEAST_EXAMPLES)
        self.max_features = None if max_features is None else check_integer("max_features", max_features, 1)
        self.jobs = check_integer("jobs", jobs, -1)
        if not self.jobs:
            raise ValueError("jobs=0 is not allowed: give 1 for this process alone, or -1 for one for each core.")

    @property
    def name(self) -> str:
        """Such as `RandomForestClassifier`."""
        every = f" (every {self.refit_every})" if self.refit_every > 1 else ""
        is_search, found = isinstance(self.estimator, GridSearchCV), self.estimator
        found = found.estimator if is_search else found
        steps = getattr(found, "steps", None)  # of a pipeline, the classifier at its end
        return type(steps[-1][1] if steps else found).__name__ + (" (tuned)" if is_search else "") + every

    @property
    def adapts(self) -> tuple[Any, ...]:
        """The classes of the estimator and of those in it, as in a pipeline or a search."""
        params: dict[str, Any] = getattr(self.estimator, "get_params", dict)()
        inside = [value for value in params.values() if hasattr(value, "fit") or hasattr(value, "transform")]
        found = (each if isinstance(each, type) else type(each) for each in (self.estimator, *inside))
        return tuple(dict.fromkeys(found))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        inputs, labels = x.cpu().numpy(), y.cpu().numpy()
        groups = _alike_but_for_the_last(inputs, labels)
        found = Parallel(n_jobs=self.jobs)(delayed(self._group)(inputs[rows], labels[rows[0]]) for rows in groups)
        probabilities = np.empty((*y.shape, self.n_classes))
        for rows, of_group in zip(groups, found, strict=True):
            probabilities[rows] = of_group
        seen = torch.arange(y.shape[1])[:, None]
        return smoothed(torch.from_numpy(probabilities), seen).float().to(x.device)

    def critical_positions(self, length: int) -> list[int]:
        """Return the first fit's position and that of the last refit."""
        fits = range(self.first_fit, length, self.refit_every)
        return [fits[0], fits[-1]] if fits else []

    def _group(self, x: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.float64]:
        """(G, N, D), (N,) → (G, N, K) probabilities; the inputs are equal but for the last position."""
        probabilities = np.full((len(x), len(y), self.n_classes), 1 / self.n_classes)
        fitted, n = None, 0
        for n in range(1, len(y)):
            if n >= self.first_fit and (fitted is None or (n - self.first_fit) % self.refit_every == 0):
                fitted = self._fit(x[0, :n], y[:n]) if len(np.unique(y[:n])) > 1 else None
            if fitted is None:
                probabilities[:, n] = np.bincount(y[:n], minlength=self.n_classes) / n
            else:
                estimator, labels, reduce = fitted
                asked = x[:, n] if n == len(y) - 1 else x[:1, n]
                known, of_known = self._predict(estimator, reduce(asked).copy(), len(labels))
                probabilities[:, n] = 0.0
                probabilities[:, n, labels[known]] = of_known
        return probabilities

    def _predict(self, estimator: Any, x: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of the codes 0 … count − 1, those that the estimator knows, and their (G, K') probabilities for (G, D)."""
        known = np.asarray(getattr(estimator, "classes_", np.arange(count)), np.int64)
        try:
            return known, class_probabilities(estimator, x, known)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.name} was fitted, but cannot predict: {error}") from error

    def _fit(self, x: NDArray[np.float32], y: NDArray[np.int64]) -> tuple[Any, NDArray[np.int64], Any]:
        """The fitted estimator, the labels of its classes, and the transformation of its inputs.

        It is fitted to the codes 0 … k − 1 of the k labels seen, in order: some, such as XGBoost, take no others.
        """
        labels, codes = np.unique(y, return_inverse=True)
        is_early = isinstance(self.estimator, GridSearchCV) and np.bincount(codes).max() < FOLDS
        estimator = clone(self.estimator.estimator if is_early else self.estimator, safe=False)
        reduce = _varying(x) if self.max_features is None else _principal(x, self.max_features)
        try:
            with warnings.catch_warnings():  # of a search: a class with few examples is missing in some folds
                warnings.filterwarnings("ignore", "The least populated class in y")
                # copies: copy_X=False, for one, centres its inputs in place
                estimator.fit(reduce(x).copy(), codes)
        except (ValueError, TypeError, AttributeError) as error:  # scikit-learn's, for arguments and for few examples
            raise ValueError(
                f"{self.name} cannot be fitted to {len(y)} examples: {error} If they are too few, raise first_fit."
            ) from error
        return estimator, labels, reduce


def class_probabilities(estimator: Any, x: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (G, K') probabilities of the classes for inputs (G, D), by the best method of the estimator."""
    if callable(getattr(estimator, "predict_proba", None)):
        return np.asarray(estimator.predict_proba(x), np.float64)
    if callable(getattr(estimator, "decision_function", None)):
        scores = np.asarray(estimator.decision_function(x), np.float64).reshape(len(x), -1)
        return softmax(np.concatenate([-scores, scores], 1) / 2 if scores.shape[1] == 1 else scores, axis=1)
    return (classes == np.asarray(estimator.predict(x))[:, None]).astype(np.float64)


def _alike_but_for_the_last(x: NDArray[np.float32], y: NDArray[np.int64]) -> list[list[int]]:
    """The episodes of a batch (B, N, D), (B, N) in groups that are equal up to the last position."""
    groups: dict[bytes, list[int]] = {}
    for row in range(len(y)):
        groups.setdefault(sha256(x[row, :-1].tobytes() + y[row, :-1].tobytes()).digest(), []).append(row)
    return list(groups.values())


def _varying(x: NDArray[np.float32]) -> Any:
    """The choice of the features that differ among the examples, as a function; all, if none does."""
    varies = x.max(0) > x.min(0)
    return (lambda inputs: inputs[:, varies]) if varies.any() else (lambda inputs: inputs)


def _principal(x: NDArray[np.float32], n_components: int) -> Any:
    """The projection onto the principal components of x, as a function."""
    mean = x.mean(0)
    directions = np.linalg.svd(x - mean, full_matrices=False)[2][:n_components]
    return lambda inputs: (inputs - mean) @ directions.T


def make_estimator(
    name: str,
    /,
    n_features: int = 784,
    n_classes: int = 10,
    *,
    first_fit: int = LEAST_EXAMPLES,
    scaled: bool = False,
    tuned: bool = False,
    **arguments: Any,
) -> EstimatorLearner:
    """Return the learner of `sklearn:NAME`, or `sklearn:module:Class` for a classifier of another package.

    Args:
        name: a classifier of scikit-learn by its class name, or module:Class.
        n_features: D.
        n_classes: K.
        first_fit: of `EstimatorLearner`; `gpicl benchmark` makes it N − 1 where the last position alone is scored.
        scaled: whether features are standardised over the previous examples.
        tuned: whether the classifier's settings are chosen at each fit, by cross-validation on the previous examples;
            for those of `tuning.GRIDS`.
        **arguments: of `EstimatorLearner` (refit_every, max_features, jobs) and of the classifier; a text for its
            argument `estimator` names another classifier, which it wraps.
    """
    options = inspect.signature(EstimatorLearner).parameters.keys() - {"estimator"}
    own = {key: arguments.pop(key) for key in options & arguments.keys()}
    classifier = _make_classifier(name, arguments, {*options, "scaled", "tuned"})
    if check_bool("scaled", scaled):
        classifier = make_pipeline(StandardScaler(), classifier)
    if check_bool("tuned", tuned):
        classifier = search(classifier)
    return EstimatorLearner(classifier, n_features, n_classes, first_fit=first_fit, **own)


def _make_classifier(name: str, arguments: dict[str, Any], options: Iterable[str] = ()) -> Any:
    """A classifier of this name; `options` are further arguments that errors list."""
    made = _find_classifier(name)
    parameters = inspect.signature(made).parameters
    if "estimators" in parameters and isinstance(arguments.get("estimators", ""), str):
        raise ValueError(
            f"{name} needs a list of estimators, which a text cannot give: in Python, make "
            f"gpicl_baselines.adapters.estimator.EstimatorLearner({name}([...]))."
        )
    if isinstance(inner := arguments.get("estimator"), str) and "estimator" in parameters:
        arguments = arguments | {"estimator": _make_classifier(inner, {})}
    if "random_state" in parameters:
        arguments = {"random_state": 0} | arguments  # the same fit whenever the same examples were seen
    return construct(made, arguments, also=options)


def _find_classifier(name: str) -> Any:
    if ":" in name:
        return find_class(name)
    from sklearn.utils.discovery import all_estimators

    classifiers = dict(all_estimators(type_filter="classifier"))
    if name not in classifiers:
        raise UnknownNameError("scikit-learn classifier", name, classifiers)
    return classifiers[name]
