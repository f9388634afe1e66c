"""What the baselines share: causal transformations of inputs, and sums over the examples before each position."""

import torch
from torch.nn.functional import normalize, pad


def centred(x: torch.Tensor) -> torch.Tensor:
    """Return (B, N, D) with x_n minus (x_1 + … + x_n) / (n + 1), the running mean shrunk towards 0: causal."""
    return x - x.cumsum(1) / torch.arange(2, x.shape[1] + 2, device=x.device)[:, None]


def unit(x: torch.Tensor) -> torch.Tensor:
    """Return (B, N, D) with every input scaled to mean square 1."""
    return normalize(x, dim=2) * x.shape[2] ** 0.5


def sum_before(values: torch.Tensor) -> torch.Tensor:
    """(B, N, K) → (B, N, K) sums over the positions before n. Shifting, not subtracting, keeps out rounding of y_n."""
    return pad(values[:, :-1].cumsum(1), (0, 0, 1, 0))


def smoothed(probabilities: torch.Tensor, n_examples: torch.Tensor | int) -> torch.Tensor:
    """Return log((n p + 1) / (n + K)), as if one more example of each class had been seen: (..., K) → (..., K).

    It keeps the order of the classes and gives a positive probability to those not seen yet.
    """
    return ((n_examples * probabilities + 1) / (n_examples + probabilities.shape[-1])).log()


def inner_products(x: torch.Tensor) -> torch.Tensor:
    """(B, N, D) → (B, N, N) of ⟨x_n, x_i⟩ / D."""
    return torch.bmm(x, x.mT) / x.shape[-1]


def squared_distances(x: torch.Tensor) -> torch.Tensor:
    """(B, N, D) → (B, N, N) of |x_n − x_i|² / D."""
    products = inner_products(x)
    norms = products.diagonal(dim1=1, dim2=2)
    return (norms.unsqueeze(2) + norms.unsqueeze(1) - 2 * products).clamp_min(0.0)
