"""How rows of a user's table become inputs of a learner: scaled like the inputs that it was meta-trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import QuantileTransformer, StandardScaler

Table = NDArray[np.float64]
LARGEST = 5.0  # standard deviations


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
        self._scaler = StandardScaler().fit(x)
        if self.by_rank:
            count = min(1000, len(x))
            ranks = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None)
            self._ranks, self._most = ranks.fit(x), float(np.sqrt(2 * np.log(2 * count)))
        n_columns = x.shape[1]
        self._used = np.flatnonzero(np.ptp(x, axis=0) > 0) if len(x) else np.arange(n_columns)
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
        if self.by_rank:
            columns = np.clip(self._ranks.transform(x), -self._most, self._most)
        else:
            columns = np.clip(self._scaler.transform(x), -LARGEST, LARGEST)
        columns = columns[:, self._used]
        if len(self._used) > self.n_features:
            return (columns @ self._projection).astype(np.float32)
        inputs = np.zeros((len(x), self.n_features), np.float32)
        inputs[:, self._places] = columns * self._signs
        return inputs
