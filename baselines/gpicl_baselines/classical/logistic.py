"""Logistic regression fitted to convergence at every position.

Minimises Σ_i cross-entropy + λ/2 |W|² over the linear softmax classifiers W (no intercept: the inputs are centred). In
dual form, W = Σ_i α_i φ_iᵀ, the N problems of an episode share the N × N inner products G. The Hessian of the
cross-entropy is at most ½ G (Böhning 1992), which does not depend on the iterate, so one factorisation of ½ G + λ I
serves all problems and steps: the leading block of its inverse factor belongs to the first n examples. Each problem
starts from the solution of the previous one; steps are accelerated (Nesterov 1983, with restarts by O'Donoghue and
Candès 2015).
"""

import torch
from torch.nn.functional import pad

from gpicl_baselines.classical.causal import centred, inner_products, unit
from gpicl_envs.errors import check_integer, check_positive
from gpicl_envs.learners.base import Learner, encoded


class LogisticRegression(Learner):
    """Multinomial logistic regression on the input centred by its running mean, of mean square 1.

    Args:
        regularization: λ, for inner products divided by D.
        steps: of the accelerated minimisation at each position; 20 reach the solution to 4e-4 (λ = 0.1) and 0.02
            (λ = 0.01) in the logits, on average.
    """

    name = "logistic"

    def __init__(
        self, n_features: int = 784, n_classes: int = 10, regularization: float = 0.01, steps: int = 20
    ) -> None:
        super().__init__(n_features, n_classes)
        self.regularization = check_positive("regularization", regularization)
        self.steps = check_integer("steps", steps, 1)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        products, labels = inner_products(unit(centred(x))), encoded(y, self.n_classes)
        b, n = y.shape
        eye = torch.eye(n, dtype=x.dtype, device=x.device).expand(b, n, n)
        factor = torch.linalg.cholesky(products / 2 + self.regularization * eye)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)  # leading blocks: the inverse factors
        bound = torch.zeros_like(products)  # leading block: (½ G + λ I)⁻¹ of the examples so far
        alpha, rows = labels[:, :0], [torch.zeros_like(labels[:, 0])]
        for seen in range(1, n):
            row = inverse[:, seen - 1, :seen]
            bound[:, :seen, :seen] += row[:, :, None] * row[:, None, :]
            alpha = pad(alpha, (0, 0, 0, 1))
            alpha = self._fitted(alpha, products[:, :seen, :seen], bound[:, :seen, :seen], labels[:, :seen])
            rows.append(torch.bmm(products[:, seen, None, :seen], alpha)[:, 0])
        return torch.stack(rows, dim=1)

    def _fitted(
        self, alpha: torch.Tensor, products: torch.Tensor, bound: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Take accelerated steps from α (B, n, K) on n examples, given their products and the inverse bound (B, n, n).

        Since (½ G + λ I) step = slope, the change of the logits, G step, needs no matrix product.
        """
        logits = logits_ahead = torch.bmm(products, alpha)
        ahead, momentum = alpha, alpha.new_ones(len(alpha), 1, 1)
        for _ in range(self.steps):
            slope = logits_ahead.softmax(2).sub_(labels).add_(ahead, alpha=self.regularization)
            step = torch.bmm(bound, slope)
            new, new_logits = ahead - step, logits_ahead - 2 * (slope - self.regularization * step)
            progress, logits_progress = new - alpha, new_logits - logits
            # Momentum restarts where the step points against the progress made.
            restart = ((step * progress).sum((1, 2), keepdim=True) > 0).float()
            grown = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            further = (1 - restart) * (momentum - 1) / grown
            ahead, logits_ahead = new + further * progress, new_logits + further * logits_progress
            momentum = restart + (1 - restart) * grown
            alpha, logits = new, new_logits
        return alpha
