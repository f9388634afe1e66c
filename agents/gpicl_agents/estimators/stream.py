"""`StreamClassifier`: a learner as a classifier of the package river, which sees one example at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.base import Classifier

from gpicl_agents.estimators.classifier import InContextClassifier
from gpicl_envs.errors import check_integer


class StreamClassifier(Classifier):
    """Classifies each example of a stream from those before it; needs `pip install river`.

    Args:
        learner: as for `InContextClassifier`.
        window: how many of the last examples a prediction reads; labels that none of them has are forgotten.
        n_estimators: members of the ensemble.
        seed: of the members' choices.

    Example:
        >>> from river import datasets, evaluate, metrics
        >>> model = StreamClassifier("knn")
        >>> accuracy = evaluate.progressive_val_score(datasets.Phishing().take(300), model, metrics.Accuracy())
        >>> bool(accuracy.get() > 0.8)
        True
    """

    def __init__(self, learner: Any = None, window: int = 200, n_estimators: int = 1, seed: int = 0) -> None:
        self.learner, self.n_estimators, self.seed = learner, n_estimators, seed
        self.window = check_integer("window", window, 1)
        self._names: list[Any] = []
        self._inside: InContextClassifier | None = None

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Add an example: numbers by the name of their feature, and the label.

        The features are those of the first example: others are ignored, and those that are missing count as 0.
        """
        names = self._names if self._inside is not None else list(x)
        inside = self._inside or InContextClassifier(
            self.learner, n_estimators=self.n_estimators, max_context=self.window, random_state=self.seed
        )
        with inside._unchanged_if_refused():
            if self._inside is not None:
                left = max(0, len(inside.rows_) + 1 - self.window)  # of the window
                inside.rows_, inside.targets_ = inside.rows_[left:], inside.targets_[left:]
                inside._start_again()
                if len(inside.targets_):
                    inside.classes_ = np.unique(inside.targets_)
            inside.partial_fit(_row(x, names), [y])
        self._inside, self._names = inside, names

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[Any, float]:
        """Return label → probability of an example; nothing before the first."""
        if self._inside is None:
            return {}
        probabilities = self._inside.predict_proba(_row(x, self._names))[0]
        return dict(zip(self._inside.classes_.tolist(), probabilities.tolist(), strict=True))


def _row(x: dict[Any, Any], names: list[Any]) -> NDArray[np.float64]:
    """(1, features) the numbers of an example."""
    return np.array([[x.get(name, 0.0) for name in names]], np.float64)
