"""What makes the columns of synthetic tables look like those of real ones: mixed, skewed, discrete, of all scales."""

import torch

from gpicl_envs.sampling.teachers import Draws, standardised

ROUNDS = 2  # of transforms, each of a random choice of columns
LEVELS = 7  # of a nominal column, at most
LARGEST = 5.0  # standard deviations
KINDS = ("squared", "binary", "exponential", "ordinal", "nominal")


def mixed(draw: Draws, rows: torch.Tensor, has_column: torch.Tensor, n_factors: torch.Tensor) -> torch.Tensor:
    """Return columns that depend on each other: with probability ½ through tanh, with probability ½ linearly.

    Args:
        draw: random numbers of the B tasks.
        rows: (B, N, F) independent factors; zero beyond their number.
        has_column: (B, 1, F) which columns each table has; the others are zero.
        n_factors: (B,) the number of factors.
    """
    f, scale = rows.shape[2], n_factors[:, None, None].float() ** -0.5
    curved = torch.bmm(rows, draw.normal(f, f)) * scale
    rows = torch.where(draw.chance(0.5), curved.tanh() + 0.3 * rows, rows) * has_column
    loadings = draw.normal(f, f) * (0.8 * draw.normal(f, 1)).exp()
    return torch.where(draw.chance(0.5), torch.bmm(rows, loadings) * scale, rows) * has_column


def transformed(draw: Draws, rows: torch.Tensor) -> torch.Tensor:
    """Transform random columns of the tables (B, N, F), in two rounds, each in two of three tables, by `KINDS`."""
    for _ in range(ROUNDS):
        changes = draw.chance(2 / 3) & draw.chance(0.4, 1, rows.shape[2])
        kind = draw.below(len(KINDS), 1, rows.shape[2])
        threshold, scale = 0.7 * draw.normal(1, rows.shape[2]), 0.5 + 1.5 * draw.uniform(1, rows.shape[2])
        ordinal = (rows * scale).round()
        level = (ordinal + LEVELS // 2).clamp(0, LEVELS - 1).long()
        values = torch.stack(
            [
                rows * rows.abs(),
                (rows > threshold).float(),
                rows.clamp_max(3.0).exp(),
                ordinal,
                draw.normal(LEVELS, rows.shape[2]).gather(1, level),
            ]
        )
        new = values.gather(0, kind.expand_as(rows)[None])[0]
        rows = standardised(torch.where(changes, new, rows))
    return rows


def normal_scores(rows: torch.Tensor) -> torch.Tensor:
    """(B, N, F) → the normal quantile of each value's rank in its column, equal values alike."""
    columns = rows.mT.contiguous()
    ordered = columns.sort(2).values
    below = torch.searchsorted(ordered, columns)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return torch.special.ndtri((below + up_to).float() / (2 * rows.shape[1])).mT
