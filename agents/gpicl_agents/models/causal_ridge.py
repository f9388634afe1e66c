"""Kernel ridge regression on the previous examples, at every position at once: `CausalRidge`.

H kernel heads use the labels and the inner products of the inputs, with learned widths γ, β and noise σ²,

    K_ij = exp(γ_h (cos(x_i, x_j) − 1) − β_h (log|x_i| − log|x_j|)²),

and each predicts y_n by ridge regression on the previous examples: L Lᵀ = K + σ²I, z = L⁻¹ Y and
f_n = Σ_{i<n} L_ni z_i, with Y the centred labels. Row n of a Cholesky factor depends on no later row, so one factor
serves every position, causally (recursive least squares, as in the mesa-layer of von Oswald et al. 2023,
arXiv:2309.05858).

With K = 1 (regression) Y are the values themselves, and each kernel is a learned mixture of this one and the linear
x_i · x_j / D, whose ridge regression is the best learner of linear functions:

    K_ij = (1 − m_h) x_i · x_j / D + m_h exp(γ_h (cos(x_i, x_j) − 1) − β_h (log|x_i| − log|x_j|)²).

Two more families of kernels are described in `multi_kernel_transformer.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize, pad

from gpicl_agents.models.kv_cache import Rows

WIDTHS = {"polar": (-0.7, 1.8), "gaussian": (-1.5, 3.0), "laplace": (-1.5, 3.0)}  # of log γ: first and last head
SMALLEST_NOISE = 1e-3  # keeps the factorisation exact enough in float32 where inputs repeat


@dataclass
class RidgeMemory:
    """The state of the kernel heads after n examples of B episodes.

    Args:
        directions: n rows (B, n, D), inputs at unit norm.
        log_norms: (B, n) logarithms of their norms.
        inverse: n rows (B, H, n, C) of L⁻¹, lower triangular, with room for C ≥ n columns.
        deviation: (B, H) L_nn of the last example.
        solved: (B, H, n−1, K) z of the examples whose labels are known.
        prediction: (B, H, K) f of the last example, whose label is not known yet.
    """

    directions: Rows
    log_norms: torch.Tensor
    inverse: Rows
    deviation: torch.Tensor
    solved: torch.Tensor
    prediction: torch.Tensor


class CausalRidge(nn.Module):
    """H kernel ridge regressions on the previous examples, at every position."""

    def __init__(self, n_heads: int, n_classes: int, families: Sequence[str] = ("polar",)) -> None:
        super().__init__()
        self.families, self.n_heads, self.n_classes = tuple(families), n_heads * len(families), n_classes
        self.log_gamma = nn.Parameter(torch.cat([torch.linspace(*WIDTHS[name], n_heads) for name in families]))
        if "polar" in families:
            self.log_beta = nn.Parameter(torch.linspace(0.7, -1.6, n_heads))
        self.log_noise = nn.Parameter(torch.linspace(-3.0, -1.2, n_heads).repeat(len(families)))
        self.centre = 1 / n_classes if n_classes > 1 else 0.0  # of the labels
        if n_classes == 1:
            self.mixture = nn.Parameter(
                torch.linspace(-4.0, 4.0, n_heads).repeat(len(families))
            )  # m before the sigmoid

    def forward(self, x: torch.Tensor, feedback: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), (B, N, K) previous labels → predictions (B, N, H, K), standard deviations (B, N, H)."""
        with torch.autocast(x.device.type, enabled=False):
            factor = self._factor(*_polar(x.to(self.log_noise.dtype)))
            predictions = factor.tril(-1) @ self._solve(factor, pad(feedback[:, 1:], (0, 0, 0, 1)))
        return predictions.transpose(1, 2), factor.diagonal(dim1=2, dim2=3).mT

    def forward_queries(
        self, x: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, D), labels (B, N, K), (B, Q, D) → predictions (B, Q, H, K) and deviations (B, Q, H) of each next."""
        with torch.autocast(x.device.type, enabled=False):
            known, asked = _polar(x.to(self.log_noise.dtype)), _polar(queries.to(self.log_noise.dtype))
            factor = self._factor(*known)
            rows = torch.linalg.solve_triangular(factor, self._kernel(*asked, *known).mT, upper=False).mT  # of L
            itself = self._variances(asked[1], x.shape[2])
            deviations = (itself + self._noise - rows.square().sum(3)).clamp_min(SMALLEST_NOISE).sqrt()
            predictions = rows @ self._solve(factor, labels)
        return predictions.transpose(1, 2), deviations.mT

    def start(self, batch_size: int, n_features: int) -> RidgeMemory:
        """Return the state before the first example."""
        empty = self.log_noise.new_zeros
        return RidgeMemory(
            directions=Rows(empty(batch_size, 0, n_features)),
            log_norms=empty(batch_size, 0),
            inverse=Rows(empty(batch_size, self.n_heads, 0, 16)),
            deviation=empty(batch_size, self.n_heads),
            solved=empty(batch_size, self.n_heads, 0, self.n_classes),
            prediction=empty(batch_size, self.n_heads, self.n_classes),
        )

    def step(
        self, memory: RidgeMemory, x: torch.Tensor, feedback: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, RidgeMemory]:
        """(B, D), (B, K) → predictions (B, H, K), standard deviations (B, H): one more row of L⁻¹, in O(n²)."""
        directions, log_norms = _polar(x[:, None].to(self.log_noise.dtype))
        n, solved = len(memory.directions), memory.solved
        if n:
            residual = feedback[:, None].to(directions) - self.centre - memory.prediction
            solved = torch.cat([solved, (residual / memory.deviation[..., None])[:, :, None]], 2)
        kernel = self._kernel(directions, log_norms, memory.directions.tensor, memory.log_norms)
        inverse = memory.inverse.tensor[..., :n]
        row = kernel @ inverse.mT  # of L
        itself = self._variances(log_norms, x.shape[1])[..., 0]
        deviation = (itself + self._noise[:, 0] - row.square().sum((2, 3))).sqrt()
        scale = 1 / deviation[..., None, None]
        after = RidgeMemory(
            directions=memory.directions.append(directions),
            log_norms=torch.cat([memory.log_norms, log_norms], 1),
            inverse=_append_row(memory.inverse, torch.cat([-scale * (row @ inverse), scale], 3)),
            deviation=deviation,
            solved=solved,
            prediction=(row @ solved)[:, :, 0],
        )
        return after.prediction, deviation, after

    def state_size(self, n_examples: int, n_features: int) -> int:
        """Inputs and their norms, the triangle of L⁻¹, the solution and the last prediction."""
        triangle = self.n_heads * n_examples * (n_examples + 1) // 2
        return n_examples * (n_features + 1) + triangle + self.n_heads * n_examples * self.n_classes

    def _factor(self, directions: torch.Tensor, log_norms: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → L, (B, H, N, N)."""
        kernel = self._kernel(directions, log_norms)
        return torch.linalg.cholesky(kernel + torch.diag_embed(self._noise.expand(-1, directions.shape[1])))

    def _solve(self, factor: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """L and one-hot labels (B, N, K) → z = L⁻¹ Y, (B, H, N, K)."""
        values = (labels.to(factor) - self.centre)[:, None].expand(-1, self.n_heads, -1, -1)
        return torch.linalg.solve_triangular(factor, values, upper=False)

    @property
    def _noise(self) -> torch.Tensor:
        return self.log_noise.exp()[:, None] + SMALLEST_NOISE

    def _kernel(
        self,
        directions: torch.Tensor,
        log_norms: torch.Tensor,
        known: torch.Tensor | None = None,
        known_log_norms: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, T, D), (B, T) and (B, S, D), (B, S) inputs, by default the same → (B, H, T, S)."""
        if known is None or known_log_norms is None:
            known, known_log_norms = directions, log_norms
            eye = torch.eye(directions.shape[1], dtype=torch.bool, device=directions.device)
            # An input of zeros has no direction, but k(x, x) is 1.
            cosines = torch.bmm(directions, directions.mT).masked_fill(eye, 1.0)
        else:
            cosines = torch.bmm(directions, known.mT)
        d, apart = directions.shape[2], (log_norms[:, :, None], known_log_norms[:, None])
        gammas, made = self.log_gamma.exp().chunk(len(self.families)), []
        for family, gamma in zip(self.families, gammas, strict=True):
            gamma = gamma[:, None, None]
            if family == "polar":
                beta = self.log_beta.exp()[:, None, None]
                exponent = gamma * (cosines[:, None] - 1) - beta * (apart[0] - apart[1]).square()[:, None]
            elif family == "gaussian":
                exponent = -gamma * _squared_distances(cosines, *apart, d)[:, None]
            else:
                exponent = -gamma * _distances(directions, log_norms, known, known_log_norms)[:, None]
            made.append(exponent.exp())
        kernel = made[0] if len(made) == 1 else torch.cat(made, 1)
        return kernel if self.n_classes > 1 else self._mixed(kernel, (apart[0] + apart[1]).exp() * cosines / d)

    def _variances(self, log_norms: torch.Tensor, n_features: int) -> torch.Tensor:
        """(B, T) of inputs → k(x, x), (B, H, T)."""
        ones = torch.ones_like(log_norms)[:, None].expand(-1, self.n_heads, -1)[..., None]
        return (ones if self.n_classes > 1 else self._mixed(ones, (2 * log_norms).exp()[..., None] / n_features))[
            ..., 0
        ]

    def _mixed(self, kernel: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
        """A kernel (B, H, T, S) mixed with the linear one (B, T, S)."""
        mixture = self.mixture.sigmoid()[:, None, None]
        return (1 - mixture) * products[:, None] + mixture * kernel


def _polar(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, N, D) → directions, and logarithms of the norms (B, N)."""
    return normalize(x, dim=2), (x.norm(dim=2) + 1e-6).log()


def _squared_distances(cosines: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, d: int) -> torch.Tensor:
    """(B, T, S) cosines, (B, T, 1) and (B, 1, S) log norms → |x_i − x_j|² / D, (B, T, S)."""
    square = (2 * rows).exp() + (2 * columns).exp() - 2 * cosines * (rows + columns).exp()
    return square.clamp_min(0) / d


def _distances(
    directions: torch.Tensor, log_norms: torch.Tensor, known: torch.Tensor, known_log_norms: torch.Tensor
) -> torch.Tensor:
    """Inputs as in `CausalRidge._kernel` → |x_i − x_j|₁ / D, (B, T, S)."""
    rows, columns = directions * log_norms.exp()[..., None], known * known_log_norms.exp()[..., None]
    n_features = rows.shape[2]
    if rows.device.type == "cpu":  # there, time goes with the features in use, such as the columns of a small table
        used = (known != 0).any(1).any(0) | (directions != 0).any(1).any(0)
        rows, columns = rows[..., used], columns[..., used]
    return torch.cdist(rows, columns, p=1) / n_features


def _append_row(triangle: Rows, row: torch.Tensor) -> Rows:
    """(B, H, n, C), of which n columns are used, and (B, H, 1, n + 1) → n + 1 rows; 2C columns if C is too few."""
    columns = triangle.tensor.shape[3]
    if columns < row.shape[3]:
        triangle, columns = Rows(pad(triangle.tensor, (0, columns))), 2 * columns
    return triangle.append(pad(row, (0, columns - row.shape[3])))
