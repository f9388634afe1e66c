"""Gaussian process classification through Dirichlet targets (Milios, Camoriano, Michiardi, Rosasco, Filippone 2018).

Each label is turned into K regression targets, log α − σ²/2 with noise of variance σ² = log(1/α + 1), α = ε, plus 1 for
the true class: what a log-normal needs to have the moments of a Gamma(α, 1). K exact Gaussian process regressions
follow, each from one factorisation as in `ridge.py`: row n of a factor gives mean and variance at position n.
"""

import torch

from gpicl_baselines.classical.causal import squared_distances, unit
from gpicl_envs.errors import check_number, check_positive
from gpicl_envs.learners.base import Learner, encoded


class GaussianProcess(Learner):
    """Kernel a² exp(−γ |z − z'|² / D), z the input scaled to mean square 1.

    The logits are the latent means, divided by √(1 + π v / 8) with v the latent variance: MacKay's (1992) approximation
    of the expected sigmoid.

    Args:
        gamma: γ.
        amplitude: a².
        epsilon: ε.
    """

    name = "gaussian-process"

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        gamma: float = 1.5,
        amplitude: float = 30.0,
        epsilon: float = 0.01,
    ) -> None:
        super().__init__(n_features, n_classes)
        self.gamma, self.amplitude = check_number("gamma", gamma, 0), check_positive("amplitude", amplitude)
        self.epsilon = check_positive("epsilon", epsilon)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        b, n, k = *y.shape, self.n_classes
        kernel = self.amplitude * torch.exp(-self.gamma * squared_distances(unit(x)))
        concentration = self.epsilon + encoded(y, k)
        noise = (1 / concentration).log1p()
        targets = concentration.log() - noise / 2
        targets = (targets - targets.mean(2, keepdim=True)).mT.reshape(b * k, n, 1)
        of_class = kernel.repeat_interleave(k, dim=0) + torch.diag_embed(noise.mT.reshape(b * k, n))
        factor = torch.linalg.cholesky(of_class)
        before = factor.tril(-1)
        mean = torch.bmm(before, torch.linalg.solve_triangular(factor, targets, upper=False))[..., 0]
        variance = (self.amplitude - before.square().sum(2)).clamp_min(0)
        return (mean / (1 + torch.pi * variance / 8).sqrt()).view(b, k, n).mT.contiguous()
