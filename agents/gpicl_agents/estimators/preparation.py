"""How rows of a user's table become inputs of a learner: scaled like the inputs that it was meta-trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from gpicl_envs.sampling.columns import LARGEST

Table = NDArray[np.float64]
FARTHEST = 1e30  # of a value, in units of the largest of its column; it is cut at a few standard deviations anyway


def exponent(x: NDArray[np.floating]) -> NDArray[np.int32]:
    """(M, …) → (…) of the power of two that brings the largest of M values near 1, exactly: squares stay finite."""
    return np.frexp(np.abs(x).max(axis=0))[1]


@dataclass(eq=False)
class Preparation:
    """One member's view of a table: scaled columns, put at random places of D features.

    Args:
        n_features: D of the learner. A table with more columns goes through a Gaussian projection.
        by_rank: whether values are replaced by the normal scores of their ranks, instead of being standardised.
        generator: of the places and signs.
    """

    n_features: int
    by_rank: bool
    generator: np.random.Generator

    def fit(self, x: Table) -> "Preparation":
        """Learn scales from the rows of the context (M, columns)."""
        self._exponent, self._scaler, self._most = exponent(x), StandardScaler(), LARGEST
        if self.by_rank:  # of standardised values: QuantileTransformer takes differences below 1e-7 for none
            count = min(1000, len(x))
            ranks = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None)
            self._scaler = make_pipeline(self._scaler, ranks)
            self._most = float(np.sqrt(2 * np.log(2 * count)))
        self._scaler.fit(np.ldexp(x, -self._exponent))
        self._used = np.flatnonzero(np.ptp(x, axis=0) > 0)
        size = np.sqrt(self.n_features / max(1, len(self._used)))
        if len(self._used) <= self.n_features:
            self._places = self.generator.permutation(self.n_features)[: len(self._used)]
            self._signs = size * self.generator.choice([-1.0, 1.0], len(self._used))
        else:
            shape = len(self._used), self.n_features
            self._projection = self.generator.standard_normal(shape) / np.sqrt(len(self._used))
        return self

    def transform(self, x: Table) -> NDArray[np.float32]:
        """(M, columns) → (M, D)."""
        with np.errstate(over="ignore"):
            scaled = np.clip(np.ldexp(x, -self._exponent), -FARTHEST, FARTHEST)
        columns = np.clip(self._scaler.transform(scaled), -self._most, self._most)[:, self._used]
        if len(self._used) > self.n_features:
            return (columns @ self._projection).astype(np.float32)
        inputs = np.zeros((len(x), self.n_features), np.float32)
        inputs[:, self._places] = columns * self._signs
        return inputs
