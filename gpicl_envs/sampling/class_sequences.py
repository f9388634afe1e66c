"""In which order an episode shows the classes of its task.

A task has M classes, of which it uses some: `active` (B, M). Class numbers 0 … M − 1 count those of the task.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import CLASS_RANKS, CLASS_SEQUENCE, SHOT_ORDER


def active_first(active: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """Return class numbers (B, n) in the same order, but those of active classes (B, M) before the others."""
    inactive = ~active.gather(1, number)
    return number.gather(1, inactive.int().argsort(dim=1, stable=True))


def active_numbers(active: torch.Tensor) -> torch.Tensor:
    """Return (B, M) the numbers of the active classes (B, M) in increasing order, then the others."""
    return active_first(active, torch.arange(active.shape[1], device=active.device).expand_as(active))


def support_and_queries(episode: Streams, active: torch.Tensor, shots: int, length: int) -> torch.Tensor:
    """Return (B, N) class numbers: each active one `shots` times in random order, then uniform ones of them."""
    n_classes, count = active.shape[1], active.sum(1, keepdim=True)
    support = active_first(active, episode.permutation(n_classes * shots, substream=SHOT_ORDER) % n_classes)
    drawn = active_numbers(active).gather(1, episode.below(count, length, substream=CLASS_SEQUENCE))
    place = torch.arange(length, device=active.device) - count * shots  # of the queries; negative before them
    queries = drawn.gather(1, place.clamp(min=0))
    support = torch.nn.functional.pad(support, (0, max(0, length - support.shape[1])))[:, :length]
    return torch.where(place < 0, support, queries)


def imbalanced(
    episode: Streams, task: Streams, active: torch.Tensor, counts: tuple[int, int], imbalance: float, length: int
) -> torch.Tensor:
    """Return (B, N) class numbers with odds on a geometric scale; the task ranks its active classes at random.

    Args:
        episode: B streams.
        task: B streams.
        active: (B, M) the classes that each task uses.
        counts: the least and the largest number of them.
        imbalance: ratio of the probabilities of the most and the least frequent.
        length: N.
    """
    odds = np.zeros((counts[1] - counts[0] + 1, active.shape[1]))
    for row, count in zip(odds, range(counts[0], counts[1] + 1), strict=True):
        row[:count] = imbalance ** (-np.arange(count) / (count - 1))
    rank = draw_ranks(episode, odds, active.sum(1, keepdim=True) - counts[0], length)
    ranked = active_first(active, task.permutation(active.shape[1], substream=CLASS_RANKS))
    return ranked.gather(1, rank)


def draw_ranks(episode: Streams, odds: NDArray[np.float64], row: torch.Tensor, length: int) -> torch.Tensor:
    """Return (B, N) independent ranks below M, with the odds (V, M) of a row (B, 1) each, none where they are 0."""
    ends = torch.from_numpy((odds / odds.sum(1, keepdims=True)).cumsum(1)[:, :-1]).to(episode.device)[row[:, 0]]
    last = torch.from_numpy((odds > 0).sum(1) - 1).to(episode.device)[row]
    draws = episode.uniform(length, substream=CLASS_SEQUENCE)
    return torch.minimum(torch.searchsorted(ends, draws, right=True), last)
