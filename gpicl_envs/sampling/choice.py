"""Distinct whole numbers from a stream: examples without replacement.

Both ways read words from the given part of the stream on; `draw_distinct` may read later parts too.
"""

import numpy as np
import torch

from gpicl_envs.sampling.philox import Streams


def shuffle(streams: Streams, size: torch.Tensor, n: int, part: int) -> torch.Tensor:
    """(B, n) distinct whole numbers, uniform below size (B, 1): the first n of a random order. O(size log size)."""
    keys = streams.uniform(int(size.max()), part=part)
    keys = keys.masked_fill(torch.arange(keys.shape[1], device=keys.device) >= size, 2.0)
    return keys.argsort(dim=1, stable=True)[:, :n].contiguous()


def draw_distinct(
    streams: Streams, size: torch.Tensor, n: int, part: int, start: torch.Tensor | int = 0
) -> torch.Tensor:
    """(B, n) distinct whole numbers, uniform on start … start + size − 1: repeated ones are drawn again. O(n log n).

    Within equal (start, size), the rule treats all numbers alike, so every ordered choice is equally likely.

    Args:
        streams: B streams.
        size: (B, 1) or (B, n) how many numbers there are to choose from.
        n: how many to choose.
        part: of the streams.
        start: (B, n) the first of them; the ranges of two places are equal or disjoint.
    """
    draws = streams.below(size, n, part=part) + start
    rows = np.arange(len(streams))
    while True:
        some = torch.from_numpy(rows).to(draws.device)
        ordered, place = draws[some].sort(dim=1, stable=True)
        repeats = torch.zeros_like(ordered, dtype=torch.bool)
        repeats.scatter_(1, place[:, 1:], ordered[:, 1:] == ordered[:, :-1])
        again = repeats.any(1)
        if not bool(again.any()):
            return draws
        rows, some, part = rows[again.cpu().numpy()], some[again], part + 1
        fresh = streams[rows].below(size[some], n, part=part) + (start if isinstance(start, int) else start[some])
        draws[some] = torch.where(repeats[again], fresh, draws[some])
