"""`InContextRegressor`: a learner of real values as a scikit-learn regressor, for small tables of any kind."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from gpicl_agents.estimators.base import Decode, InContextEstimator
from gpicl_agents.estimators.preparation import exponent
from gpicl_envs.learners.base import Learner


class InContextRegressor(RegressorMixin, InContextEstimator):
    """Predicts real values from rows with known ones, the context, in one forward pass: nothing is trained.

    Rows are prepared as by `InContextClassifier`, and targets are standardised over the context. The predictions of
    the members of an ensemble, which differ in random choices and in the order of the rows, are averaged.

    Args:
        learner: a `Learner` of real values (n_classes=1), or text that `make_learner` reads: `multi-kernel-transformer`
            (the default; untrained, it is a mixture of kernel ridge regressions, weighted by how well they predict the
            context), `ridge`, a checkpoint folder. One that has no sizes of its own is made for the table.
        n_estimators: members of the ensemble.
        max_context: most rows that a prediction reads: with more, each member reads a random choice of so many.
        batch_size: most rows that are predicted at once.
        device: where the learner computes.
        random_state: of the members' choices.

    Attributes:
        n_features_in_: columns.
        learner_: the learner.
        rows_: (M, columns) all rows seen.
        targets_: (M,) their values.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.model_selection import cross_val_score
        >>> x, y = load_diabetes(return_X_y=True)
        >>> bool(cross_val_score(InContextRegressor(), x, y).mean() > 0.4)
        True
    """

    default_learner = "multi-kernel-transformer"

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """(M, columns) → (M,) values."""
        return self._ask(X)

    def _checked(self, targets: NDArray[Any]) -> int:
        if targets.dtype.kind not in "biuf":
            raise ValueError(
                f"y has values such as {targets[0]!r}, but a regressor needs numbers: convert them, or give classes to "
                "InContextClassifier."
            )
        return 1

    def _check_outputs(self, learner: Learner, n_outputs: int) -> None:
        if learner.n_classes != 1:
            raise ValueError(
                f"{learner.name} has {learner.n_classes} classes, not real values: give it to InContextClassifier, or "
                "give a learner with n_classes=1."
            )

    def _groups(self) -> NDArray[np.int64]:
        return np.zeros(len(self.targets_), np.int64)

    def _encoded(self, generator: np.random.Generator, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], Decode]:
        values = self.targets_[chosen].astype(np.float64)
        power = int(exponent(values))
        scaled = np.ldexp(values, -power)
        mean, deviation = float(scaled.mean()), float(scaled.std()) or 1.0
        unit = deviation / getattr(self.learner_, "value_scale", 1.0)
        encoded = ((scaled - mean) / unit).astype(np.float32)

        def decode(predicted: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.ldexp((mean + unit * predicted[:, 0]).cpu().numpy(), power))

        return encoded, decode
