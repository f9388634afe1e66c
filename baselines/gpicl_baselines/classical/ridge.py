"""Ridge regression on one-hot labels, linear and with an RBF kernel, at every position at once.

With K the kernel matrix of the whole episode and L Lᵀ = K + λI, the factor for the first n examples is the leading
block of L, and row n of L left of the diagonal is (L_{<n}⁻¹ k_n)ᵀ. So the prediction from the first n examples,
k_nᵀ (K_{<n} + λI)⁻¹ Y_{<n} = (L_{<n}⁻¹ k_n)ᵀ (L_{<n}⁻¹ Y_{<n}), is row n of tril(L, −1) (L⁻¹ Y): one factorisation
serves all N positions.
"""

import torch

from gpicl_baselines.classical.causal import centred, inner_products, squared_distances, unit
from gpicl_envs.errors import check_positive
from gpicl_envs.learners.base import Learner, encoded


class _KernelLearner(Learner):
    """Logits s f(x_n) with f the ridge regression of one_hot(y) − 1/K under the kernel of the subclass.

    With K = 1 it returns the ridge regression of the values themselves, on unscaled inputs.
    """

    predicts_values = True

    def __init__(self, n_features: int, n_classes: int, regularization: float, sharpness: float) -> None:
        super().__init__(n_features, n_classes)
        self.regularization, self.sharpness = check_positive("regularization", regularization), sharpness

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, D) → (B, N, N) positive semi-definite."""
        raise NotImplementedError

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        kernel = self.kernel(x)
        kernel.diagonal(dim1=1, dim2=2).add_(self.regularization)
        factor = torch.linalg.cholesky(kernel)
        regression = self.n_classes == 1
        targets = encoded(y, self.n_classes).to(kernel) - (0 if regression else 1 / self.n_classes)
        solved = torch.linalg.solve_triangular(factor, targets, upper=False)
        return torch.bmm(factor.tril(-1), solved).to(x) * (1 if regression else self.sharpness)


class Ridge(_KernelLearner):
    """Linear ridge regression: kernel ⟨z, z'⟩ / D, z the input centred by its running mean, of mean square 1.

    Args:
        regularization: λ, relative to that mean square.
        sharpness: s; it changes the probabilities, not the most likely class.
    """

    name = "ridge"

    def __init__(
        self, n_features: int = 784, n_classes: int = 10, regularization: float = 1.0, sharpness: float = 12.0
    ) -> None:
        super().__init__(n_features, n_classes, regularization, sharpness)

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """⟨z, z'⟩ / D."""
        return inner_products(x if self.n_classes == 1 else unit(centred(x)))

    def state_size(self, n_examples: int) -> int:
        """Recursive least squares: a symmetric D×D matrix, K weight vectors, the mean; or the examples, if fewer."""
        d = self.n_features
        return min(super().state_size(n_examples), d * (d + 1) // 2 + d * self.n_classes + d)


class KernelRidge(_KernelLearner):
    """RBF kernel ridge regression: kernel exp(−γ |z − z'|² / D), z the input scaled to mean square 1.

    The scaling lets one γ serve every dataset; no statistic of the episode enters it.

    Args:
        gamma: γ.
        regularization: λ.
        sharpness: s; it changes the probabilities, not the most likely class.
    """

    name = "kernel-ridge"

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        gamma: float = 1.5,
        regularization: float = 0.003,
        sharpness: float = 12.0,
    ) -> None:
        super().__init__(n_features, n_classes, regularization, sharpness)
        self.gamma = gamma

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """exp(−γ |z − z'|² / D)."""
        return torch.exp(-self.gamma * squared_distances(x if self.n_classes == 1 else unit(x)))


class LeastSquares(_KernelLearner):
    """Ordinary least squares, of minimum norm as long as there are fewer examples than features: regression only.

    The Bayes-optimal learner of noiseless linear functions with Gaussian weights (Garg et al. 2022, section 3): exact
    once n = D. In float64, with λ = 1e-9 for the pseudo-inverse.
    """

    name = "least-squares"

    def __init__(self, n_features: int = 20, n_classes: int = 1) -> None:
        if n_classes != 1:
            raise ValueError(f"least-squares predicts values, n_classes=1; given n_classes={n_classes}: use ridge.")
        super().__init__(n_features, n_classes, regularization=1e-9, sharpness=1.0)

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """⟨x, x'⟩ / D in float64."""
        return inner_products(x.double())
