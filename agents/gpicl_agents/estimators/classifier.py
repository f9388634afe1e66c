"""`InContextClassifier`: a meta-trained learner as a scikit-learn classifier, for small tables of any kind."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from gpicl_agents.estimators.base import Decode, InContextEstimator
from gpicl_envs.learners.base import Learner


class InContextClassifier(ClassifierMixin, InContextEstimator):
    """Classifies rows from labelled ones, the context, in one forward pass of a learner: nothing is trained.

    Rows are scaled (standardised, or by rank in every second member of the ensemble) and put at random places among
    the learner's D inputs; labels get random slots among its K outputs. The probabilities of the members, which
    differ in these choices and in the order of the rows, are averaged.

    Args:
        learner: a `Learner`, or text that `make_learner` reads: `pretrained:gpicl-general` (the default), a checkpoint
            folder, `knn`. One that has no sizes of its own is made for the table.
        n_estimators: members of the ensemble.
        max_context: most rows that a prediction reads: with more, each member reads a random choice of about so many,
            stratified by class.
        batch_size: most rows that are predicted at once.
        device: where the learner computes.
        random_state: of the members' choices.

    Attributes:
        classes_: (n_classes,) the labels.
        n_features_in_: columns.
        learner_: the learner.
        rows_: (M, columns) all rows seen.
        targets_: (M,) their labels.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import cross_val_score
        >>> x, y = load_iris(return_X_y=True)
        >>> bool(cross_val_score(InContextClassifier("knn"), x, y).mean() > 0.9)
        True
    """

    default_learner = "pretrained:gpicl-general"

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:  # noqa: N803
        """Add labelled rows (M, columns), (M,) to the context; labels that are new may come at any time.

        Args:
            X: the rows.
            y: their labels.
            classes: all labels, if the first rows lack some that `predict_proba` should have a column for.
        """
        with self._unchanged_if_refused():
            if classes is not None and len(labels := np.asarray(classes)):
                check_classification_targets(labels)
                self._add_classes(labels)
            return super().partial_fit(X, y)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """(M, columns) → (M, n_classes) probabilities."""
        return self._ask(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """(M, columns) → (M,) labels."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _start_again(self) -> None:
        self.__dict__.pop("classes_", None)

    def _add_classes(self, labels: NDArray[Any]) -> None:
        known = getattr(self, "classes_", None)
        if known is not None and _are_text(known) != _are_text(labels):
            raise ValueError(
                f"y has labels such as {labels[0]!r}, but those before were such as {known[0]!r}: give labels of one "
                "kind, all numbers or all text."
            )
        self.classes_ = np.unique(labels) if known is None else np.union1d(known, labels)

    def _checked(self, targets: NDArray[Any]) -> int:
        check_classification_targets(targets)
        self._add_classes(targets)
        return max(2, len(self.classes_))

    def _check_outputs(self, learner: Learner, n_outputs: int) -> None:
        if learner.n_classes == 1:
            raise ValueError(
                f"{learner.name} predicts real values (n_classes=1), not classes: give it to InContextRegressor, or "
                "give a learner that classifies."
            )
        if learner.n_classes < n_outputs:
            raise ValueError(
                f"y has {n_outputs} classes, but {learner.name} has {learner.n_classes} outputs: merge classes, or "
                "give this classifier to sklearn.multiclass.OneVsRestClassifier or OutputCodeClassifier."
            )

    def _groups(self) -> NDArray[np.int64]:
        return np.searchsorted(self.classes_, self.targets_)

    def _encoded(self, generator: np.random.Generator, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], Decode]:
        slots = generator.permutation(self.learner_.n_classes)[: len(self.classes_)]
        of_classes = torch.from_numpy(slots).to(self.device)
        return slots[self._groups()[chosen]], lambda logits: logits[:, of_classes].softmax(1)


def _are_text(labels: NDArray[Any]) -> bool:
    return any(isinstance(label, str | bytes) for label in labels.flat[:1])
