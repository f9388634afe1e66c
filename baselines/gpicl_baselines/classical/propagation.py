"""Label propagation over a graph of the previous examples and the current input (Zhou et al. 2004)."""

import math

import torch

from gpicl_baselines.classical.causal import smoothed, squared_distances, unit
from gpicl_envs.errors import check_fraction, check_number
from gpicl_envs.learners.base import Learner, encoded

PRECISION = 1e-6  # of the solution


class LabelPropagation(Learner):
    """F = (1 − α) (I − α S)⁻¹ Y on the graph of the n examples and the query (scikit-learn's `LabelSpreading`).

    S is D^(−½) W D^(−½), W the kernel exp(−γ |z − z'|² / D) without its diagonal, z scaled to mean square 1.

    Args:
        gamma: γ.
        alpha: α in [0, 1), how much a node takes from its neighbours.
    """

    name = "label-propagation"

    def __init__(self, n_features: int = 784, n_classes: int = 10, gamma: float = 10.0, alpha: float = 0.05) -> None:
        super().__init__(n_features, n_classes)
        self.gamma, self.alpha = check_number("gamma", gamma, 0), check_fraction("alpha", alpha)
        if alpha == 1:
            raise ValueError("alpha=1 is not allowed: give a number from 0 to 1, without 1.")

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        weights = torch.exp(-self.gamma * squared_distances(unit(x)))
        weights = weights - torch.diag_embed(weights.diagonal(dim1=1, dim2=2))
        # Column n belongs to the graph of the nodes i ≤ n, with n as the query; `scale` is its D^(−½): (B, i, n).
        member = torch.ones_like(weights[0]).triu()
        scale = weights.cumsum(2).clamp_min(1e-30).rsqrt() * member
        query_row = self._solve(
            weights, scale, torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(weights)
        )
        mass = torch.bmm(query_row.mT.tril(-1), encoded(y, self.n_classes))
        probabilities = mass / mass.sum(2, keepdim=True).clamp_min(1e-30)
        return smoothed(probabilities, torch.arange(x.shape[1], device=x.device)[:, None])

    def _solve(self, weights: torch.Tensor, scale: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        """(I − α S_n)⁻¹ e_n for all n at once, by Chebyshev's iteration: the eigenvalues are in [1 − α, 1 + α]."""
        condition = ((1 + self.alpha) / (1 - self.alpha)) ** 0.5
        steps = math.ceil(math.log(2 / PRECISION) / math.log((condition + 1) / max(condition - 1, 1e-9)))
        solution, residual, direction, rho = torch.zeros_like(query), query, query, self.alpha
        for _ in range(steps):
            solution = solution + direction
            spread = scale * torch.bmm(weights, scale * direction)
            residual = residual - direction + self.alpha * spread
            scaled = 2 - self.alpha * rho
            direction = self.alpha * rho / scaled * direction + 2 / scaled * residual
            rho = self.alpha / scaled
        return solution
