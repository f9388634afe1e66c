"""Chance baselines: learners that ignore the input."""

import torch

from gpicl_baselines.classical.causal import sum_before
from gpicl_envs.learners.base import Learner, encoded


class Uniform(Learner):
    """Every label is equally likely, whatever has been seen; for regression, 0."""

    name = "uniform"
    predicts_values = True

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K) zeros."""
        return torch.zeros(*y.shape, self.n_classes, device=x.device)

    def state_size(self, n_examples: int) -> int:
        """Nothing."""
        return 0


class Majority(Learner):
    """Frequencies of the labels seen so far: log((count_k + 1) / (n + K)), Laplace's rule of succession.

    For regression, the mean of the values seen so far, initially 0.
    """

    name = "majority"
    predicts_values = True

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        sums = sum_before(encoded(y, self.n_classes))
        if self.n_classes == 1:
            seen = torch.arange(y.shape[1], device=y.device).clamp_min(1)
            return sums / seen[:, None]
        return ((sums + 1) / (sums.sum(2, keepdim=True) + self.n_classes)).log()

    def state_size(self, n_examples: int) -> int:
        """The K counts."""
        return self.n_classes
