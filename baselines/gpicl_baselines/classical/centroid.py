"""Nearest class centroid (Rocchio; scikit-learn's `NearestCentroid`)."""

import torch

from gpicl_baselines.classical.causal import inner_products, sum_before
from gpicl_envs.learners.base import Learner, encoded


class NearestCentroid(Learner):
    """Logits −s |x_n − c_k|² / D with c_k the mean of the examples of class k before n.

    Computed from inner products alone, for all positions at once. A class not seen yet gets the lowest of the other
    logits minus 1; before any example all are 0.

    Args:
        sharpness: s; it changes the probabilities, not the most likely class.
    """

    name = "centroid"

    def __init__(self, n_features: int = 784, n_classes: int = 10, sharpness: float = 15.0) -> None:
        super().__init__(n_features, n_classes)
        self.sharpness = sharpness

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        products, labels = inner_products(x), encoded(y, self.n_classes)
        sums = torch.bmm(products.tril(-1), labels)  # Σ_i<n,y_i=k ⟨x_n, x_i⟩
        norms = products.diagonal(dim1=1, dim2=2).unsqueeze(2)
        growth = labels * (2 * sums + norms)  # of |Σ x_i|² for the class of example n, when n is added
        squares, counts = sum_before(growth), sum_before(labels)
        seen = counts > 0
        counts = counts.clamp_min(1.0)
        logits = self.sharpness * (2 * sums / counts - squares / counts.square())  # |x_n|² is common to all k
        lowest = logits.masked_fill(~seen, torch.inf).amin(2, keepdim=True).nan_to_num(posinf=1.0)
        return torch.where(seen, logits, lowest - 1.0)

    def state_size(self, n_examples: int) -> int:
        """K centroids and their counts."""
        return self.n_classes * (self.n_features + 1)
