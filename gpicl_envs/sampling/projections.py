"""Random linear projections of a batch of inputs, from standard normal noise, by two routes of equal distribution.

The matrix route makes A. The Cholesky route never does: the rows of A X̄ᵀ are i.i.d. N(0, X̄ X̄ᵀ / N_x), so that
X = L Z with L Lᵀ = X̄ X̄ᵀ / N_x and Z ~ N(0, 1)^{N×D} is distributed as X̄ Aᵀ.
"""

from dataclasses import dataclass

import torch

PROJECTIONS = ("gaussian", "orthogonal", "none")


@dataclass(frozen=True)
class Projection:
    """A projection of N_x inputs to D features.

    Args:
        kind: `"gaussian"` or `"orthogonal"`.
        n_features: D.
        n_inputs: N_x.
        route: `"matrix"` or `"cholesky"`.
    """

    kind: str
    n_features: int
    n_inputs: int
    route: str

    def noise_shape(self, length: int) -> tuple[int, int]:
        """Shape of the standard normals that one episode of N examples takes."""
        d, n_inputs = self.n_features, self.n_inputs
        if self.route == "cholesky":
            return (length, d) if self.kind == "gaussian" else (length, max(d, n_inputs))
        return (d, n_inputs) if self.kind == "gaussian" else (max(d, n_inputs), min(d, n_inputs))

    def matrices(self, noise: torch.Tensor) -> torch.Tensor:
        """Return A, (B, D, N_x), with entries of variance 1/N_x; the noise is used up."""
        if self.kind == "gaussian":
            return noise.div_(self.n_inputs**0.5)
        q, r = torch.linalg.qr(noise)
        q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # makes Q Haar-distributed (Mezzadri 2007)
        return q * (self.n_features / self.n_inputs) ** 0.5 if self.n_features >= self.n_inputs else q.mT

    def project(self, images: torch.Tensor, noise: torch.Tensor, index: torch.Tensor | None, x: torch.Tensor) -> None:
        """Write the projected images into x.

        Args:
            images: (B, N, N_x) z-normalised inputs.
            noise: (B, *noise_shape(N)) standard normals, used up.
            index: (B, N) numbers by which repeated inputs are known; None where there are none.
            x: (B, N, D) the result.
        """
        if self.route == "matrix":
            torch.bmm(images, self.matrices(noise).mT, out=x)
            return
        covariance = torch.bmm(images, images.mT).div_(self.n_inputs)
        first = None if index is None else _without_repeats(covariance, index)
        factor = _cholesky(covariance)
        if self.kind == "gaussian":
            torch.bmm(factor, noise, out=x)
        else:
            x.copy_(factor @ self._orthonormal_rows(noise))
        if first is not None:
            x.copy_(x.gather(1, first.unsqueeze(2).expand_as(x)))

    def _orthonormal_rows(self, noise: torch.Tensor) -> torch.Tensor:
        """The orthogonal counterpart of Z: √max(N_x, D) times the first D columns of N Haar-random orthonormal rows."""
        rows = torch.linalg.solve_triangular(_cholesky(noise @ noise.mT), noise, upper=False)
        return rows[..., : self.n_features] * noise.shape[-1] ** 0.5


def _without_repeats(covariance: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Make repeated inputs harmless to the factorisation; return (B, N) the first place of each input."""
    first = (index.unsqueeze(2) == index.unsqueeze(1)).int().argmax(2)
    repeated = first != torch.arange(index.shape[1], device=index.device)
    covariance.masked_fill_(repeated.unsqueeze(1) | repeated.unsqueeze(2), 0.0)
    covariance.diagonal(dim1=1, dim2=2).masked_fill_(repeated, 1.0)
    return first


def _cholesky(covariance: torch.Tensor) -> torch.Tensor:
    """Lower factor of (B, N, N); nearly equal inputs get the least diagonal, from 1e-6 of its mean, that factorises."""
    factor, info = torch.linalg.cholesky_ex(covariance)
    scale = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    jitter = 1e-6
    while bool((info > 0).any()):
        failed = info > 0
        diagonal = torch.eye(covariance.shape[1], device=covariance.device) * (scale[failed] * jitter)[:, None, None]
        factor[failed], info[failed] = torch.linalg.cholesky_ex(covariance[failed] + diagonal)
        jitter *= 10
    return factor
