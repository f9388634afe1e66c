"""In which order an episode shows the classes of its task.

A task has M classes, of which it uses some: `active` (B, M). Class numbers 0 … M − 1 count those of the task.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpicl_envs.errors import check_choice, check_fraction, check_integer, check_number
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import (
    BURST_ORDER,
    BURSTY_CLASSES,
    CLASS_RANKS,
    CLASS_SEQUENCE,
    IS_BURSTY,
    QUERY,
    SHOT_ORDER,
)

QUERIES = IN_CONTEXT, NOT_IN_CONTEXT = "in-context", "not-in-context"


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
    for row, n in zip(odds, range(counts[0], counts[1] + 1), strict=True):
        row[:n] = imbalance ** (-np.arange(n) / (n - 1))
    ends = torch.from_numpy((odds / odds.sum(1, keepdims=True)).cumsum(1)).to(active.device)
    count = active.sum(1, keepdim=True)
    draws = episode.uniform(length, substream=CLASS_SEQUENCE)
    rank = torch.searchsorted(ends[count[:, 0] - counts[0]], draws, right=True).minimum(count - 1)
    ranked = active_first(active, task.permutation(active.shape[1], substream=CLASS_RANKS))
    return ranked.gather(1, rank)


@dataclass(frozen=True)
class Sequences:
    """Bursty and Zipfian sequences of classes; the arguments are those of `TaskDistribution`.

    Chan et al. 2022, "Data distributional properties drive emergent in-context learning in Transformers"; Reddy 2024,
    "The mechanistic basis of data dependence and abrupt learning in an in-context classification task".

    Raises:
        ValueError: an argument is out of range.
    """

    burstiness: int | None
    p_bursty: float
    zipf: float
    query: str | None

    def __post_init__(self) -> None:
        if self.burstiness is not None:
            check_integer("burstiness", self.burstiness, 1)
        elif self.p_bursty != 1:
            raise ValueError(f"p_bursty={self.p_bursty!r} has no effect without burstiness: give it too.")
        check_fraction("p_bursty", self.p_bursty)
        check_number("zipf", self.zipf, 0)
        if self.query is not None:
            check_choice("query", self.query, QUERIES)

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that differ from their defaults, by name; none if there is nothing to draw here."""
        plain = {"burstiness": None, "p_bursty": 1, "zipf": 0, "query": None}
        return {name: value for name, value in vars(self).items() if value != plain[name]}

    def most(self, length: int) -> int:
        """Return how often a class may occur in an episode of N examples."""
        return length if self.burstiness is None or self.p_bursty < 1 else min(length, self.burstiness + 1)

    def check(self, length: int, n_classes: int) -> None:
        """Raise ValueError if episodes of N examples and so many classes cannot hold these sequences."""
        context, drawn = length - 1, length - 1
        if self.given and context < 1:
            raise ValueError(f"length={length} is not allowed with {self._words}: it leaves no example before a query.")
        if self.burstiness is not None:
            drawn = context // self.burstiness
            if context % self.burstiness:
                raise ValueError(
                    f"burstiness={self.burstiness} is not allowed with length={length}: the {context} examples before "
                    "the last must be a multiple of it."
                )
            if drawn > n_classes:
                raise ValueError(
                    f"burstiness={self.burstiness} with length={length} shows {drawn} classes before the last example, "
                    f"but a task has {n_classes}: give a larger burstiness, a smaller length or more classes."
                )
        drawn = context if self.p_bursty < 1 else drawn
        if self.query == NOT_IN_CONTEXT and drawn >= n_classes:
            raise ValueError(
                f"query={self.query!r} needs a class that is not among the up to {drawn} before the last example, but "
                f"a task has {n_classes} classes: give a smaller length or more classes."
            )

    def draw(self, episode: Streams, active: torch.Tensor, length: int) -> torch.Tensor:
        """Return (B, N) class numbers, of the active ones (B, M)."""
        ranks = torch.arange(1, active.shape[1] + 1, dtype=torch.float64, device=active.device)
        odds = active * ranks**-self.zipf  # (B, M)
        number = pick(odds, episode.uniform(length, substream=CLASS_SEQUENCE))
        if self.burstiness is not None:
            bursty = episode.uniform(1, substream=IS_BURSTY) < self.p_bursty
            number = torch.where(bursty, self._bursty(episode, odds, number), number)
        context = number[:, :-1]
        if self.query == IN_CONTEXT:
            number[:, -1:] = context.gather(1, episode.below(length - 1, 1, substream=QUERY))
        elif self.query == NOT_IN_CONTEXT:
            others = odds.scatter(1, context, 0.0)
            number[:, -1:] = pick(others, episode.uniform(1, substream=QUERY))
        return number

    def _bursty(self, episode: Streams, odds: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """(B, N): drawn classes, each `burstiness` times in random order, then one of them."""
        length, times = number.shape[1], self.burstiness or 1
        waits = -torch.log1p(-episode.uniform(odds.shape[1], substream=BURSTY_CLASSES)) / odds
        drawn = waits.argsort(dim=1, stable=True)  # without replacement: exponential waiting times, shortest first
        place = episode.permutation(length - 1, substream=BURST_ORDER) // times
        query = episode.below((length - 1) // times, 1, substream=QUERY)
        return drawn.gather(1, torch.cat([place, query], dim=1))

    @property
    def _words(self) -> str:
        return " and ".join(f"{name}={value!r}" for name, value in self.given.items())


def pick(odds: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Return (B, n) numbers below M with the odds (B, M), from uniform draws (B, n)."""
    ends = odds.cumsum(1)
    last = (odds > 0).long().mul(torch.arange(odds.shape[1], device=odds.device)).amax(1, keepdim=True)
    return torch.searchsorted(ends, draws * ends[:, -1:], right=True).minimum(last)
