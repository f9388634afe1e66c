"""Inputs whose distribution is not that of meta-training: another covariance, another scale, other orthants.

The shifts of Garg, Tsipras, Liang and Valiant 2022, "What can Transformers learn in-context?", section 4, as in their
code (dtsip/in-context-learning, `eval.py` and `samplers.py`).
"""

import torch

from gpicl_envs.errors import check_choice, check_positive
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import ORTHANT, SPECTRUM

SPECTRA = FLAT, SKEWED, SUBSPACE = "flat", "skewed", "subspace"
ORTHANTS = RANDOM, OPPOSITE = "random", "opposite"


def check_spectrum(x_spectrum: str, x_scale: float, n_features: int) -> tuple[str, float]:
    """Return both arguments if they are allowed for D features."""
    check_choice("x_spectrum", x_spectrum, SPECTRA)
    if x_spectrum == SUBSPACE and n_features < 2:
        raise ValueError(f"x_spectrum={x_spectrum!r} keeps half of the features, but n_features={n_features}: give 2.")
    return x_spectrum, check_positive("x_scale", x_scale)


def check_orthants(orthants: str | None, x_spectrum: str, length: int) -> str | None:
    """Return the argument if it is allowed with the others."""
    if orthants is None:
        return None
    check_choice("orthants", orthants, ORTHANTS)
    if x_spectrum != FLAT:
        raise ValueError(f"orthants={orthants!r} and x_spectrum={x_spectrum!r} exclude each other: leave one out.")
    if length < 2:
        raise ValueError(f"orthants={orthants!r} needs a length of at least 2: examples, and a query after them.")
    return orthants


def spectrum_scales(x_spectrum: str, x_scale: float, n_features: int, device: torch.device) -> torch.Tensor:
    """Return (D,) float32 standard deviations along the principal axes; their mean square is x_scale².

    `"skewed"`: 1, 1/2, 1/3, …; `"subspace"`: ⌊D/2⌋ equal ones, then zeros.
    """
    rank = torch.arange(n_features, dtype=torch.float64, device=device)
    if x_spectrum == SKEWED:
        scales = 1 / (rank + 1)
    else:
        kept = n_features // 2 if x_spectrum == SUBSPACE else n_features
        scales = (rank < kept).double()
    return (scales * x_scale / scales.square().mean().sqrt()).float()


def rotate(task: Streams, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return x Q Λ Qᵀ for inputs x (B, N, D), scales Λ (D,) and a rotation Q that each task draws uniformly."""
    q, r = torch.linalg.qr(task.normal(len(scales), len(scales), substream=SPECTRUM))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # Haar-distributed (Mezzadri 2007)
    return (x @ q * scales) @ q.mT


def shuffled_scales(task: Streams, scales: torch.Tensor) -> torch.Tensor:
    """Return (B, D) the scales in an order that each task draws: for features whose own rotation is random already."""
    return scales[task.permutation(len(scales), substream=SPECTRUM)]


def move_to_orthants(orthants: str, episode: Streams, x: torch.Tensor) -> torch.Tensor:
    """Return the inputs (B, N, D), all but the last in one orthant, which each episode draws.

    The last is anywhere (`"random"`), or in the opposite orthant (`"opposite"`).
    """
    signs = (2 * episode.below(2, x.shape[2], substream=ORTHANT) - 1).unsqueeze(1).float()
    inside = x.abs() * signs
    last = x[:, -1:] if orthants == RANDOM else -inside[:, -1:]
    return torch.cat([inside[:, :-1], last], dim=1)
