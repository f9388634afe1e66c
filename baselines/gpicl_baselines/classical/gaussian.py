"""Classifiers with a Gaussian for each class: naive Bayes, and linear discriminant analysis with shrinkage."""

import torch

from gpicl_baselines.classical.causal import inner_products, smoothed, unit
from gpicl_envs.errors import check_number
from gpicl_envs.learners.base import Learner, encoded


class GaussianNaiveBayes(Learner):
    """Independent Gaussians for each class and feature (scikit-learn's `GaussianNB`), fitted to the previous examples.

    Args:
        smoothing: fraction of the largest variance of a feature that is added to every variance.
    """

    name = "naive-bayes"

    def __init__(self, n_features: int = 784, n_classes: int = 10, smoothing: float = 0.1) -> None:
        super().__init__(n_features, n_classes)
        self.smoothing = check_number("smoothing", smoothing, 0)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        b, each = len(x), torch.arange(len(x), device=x.device)
        count = x.new_zeros(b, self.n_classes)
        total, mean, variance = (x.new_zeros(b, self.n_classes, x.shape[2]) for _ in range(3))
        squares = torch.zeros_like(total)
        rows = [x.new_zeros(b, self.n_classes)]
        overall, overall_squares = x.cumsum(1), x.square().cumsum(1)
        for n in range(1, x.shape[1]):
            new, own = x[:, n - 1], (each, y[:, n - 1])  # an example changes only its own class
            count[own] += 1
            total[own] += new
            squares[own] += new.square()
            some = count[own][:, None]
            mean[own] = total[own] / some
            variance[own] = (squares[own] / some - mean[own].square()).clamp_min(0)
            largest = (overall_squares[:, n - 1] / n - (overall[:, n - 1] / n).square()).amax(1)  # of a feature
            widened = variance + (self.smoothing * largest + 1e-6)[:, None, None]
            distance = (x[:, n, None] - mean).square_().div_(widened)
            likelihood = -0.5 * distance.add_(widened.log_()).sum(2)
            scores = (likelihood + count.clamp_min(1).log()).masked_fill(count == 0, -torch.inf)
            rows.append(smoothed(scores.softmax(1), n))
        return torch.stack(rows, dim=1)

    def state_size(self, n_examples: int) -> int:
        """Counts, sums and sums of squares for each class."""
        return self.n_classes * (2 * self.n_features + 1)


class LinearDiscriminantAnalysis(Learner):
    """Gaussians with one covariance, (1 − s) S + s I with S the pooled covariance within the classes.

    Inputs are scaled to mean square 1, so that the identity has their scale. Since the n examples are usually fewer
    than the D features, everything is computed from their n × n inner products: with A the examples minus their class
    means, Woodbury's identity gives
    Σ⁻¹ = (1/s)(I − a Aᵀ (s I + a A Aᵀ)⁻¹ A), a = (1 − s) / n.

    Args:
        shrinkage: s in (0, 1].
        sharpness: multiplies the discriminants before the log of the class frequencies is added.
    """

    name = "lda"

    def __init__(
        self, n_features: int = 784, n_classes: int = 10, shrinkage: float = 0.01, sharpness: float = 10.0
    ) -> None:
        super().__init__(n_features, n_classes)
        if not 0 < shrinkage <= 1:
            raise ValueError(f"shrinkage={shrinkage!r} is not allowed: give a number above 0, at most 1.")
        self.shrinkage, self.sharpness = shrinkage, check_number("sharpness", sharpness, 0)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        products = inner_products(unit(x))
        labels = encoded(y, self.n_classes)
        rows = [torch.zeros_like(labels[:, 0])]
        rows += [self._after(products[:, : n + 1, : n + 1], labels[:, :n]) for n in range(1, x.shape[1])]
        return torch.stack(rows, dim=1)

    def _after(self, products: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(B, n+1, n+1) products of the examples and the query, (B, n, K) labels → (B, K)."""
        n = labels.shape[1]
        count = labels.sum(1)
        average = labels.mT / count.clamp_min(1).unsqueeze(2)  # (B, K, n): rows give the class means
        eye = torch.eye(n, dtype=labels.dtype, device=labels.device)
        within = eye - labels @ average  # (B, n, n): examples minus class means
        a, s = (1 - self.shrinkage) / n, self.shrinkage
        points = labels.new_zeros(len(labels), self.n_classes + 1, n + 1)
        points[:, :-1, :n], points[:, -1, n] = average, 1.0  # class means and the query, as sums of inputs
        seen = products[:, :n]
        deviations = within @ seen @ points.mT  # (B, n, K+1)
        inner = within @ seen[:, :, :n] @ within
        system = a * inner + s * eye
        solved = torch.cholesky_solve(deviations, torch.linalg.cholesky(system))
        metric = (points @ products @ points.mT - a * deviations.mT @ solved) / s  # ⟨·, Σ⁻¹ ·⟩ of means and query
        scores = metric[:, :-1, -1] - metric.diagonal(dim1=1, dim2=2)[:, :-1] / 2
        scores = self.sharpness * scores + count.clamp_min(1).log()
        return smoothed(scores.masked_fill(count == 0, -torch.inf).softmax(1), n)
