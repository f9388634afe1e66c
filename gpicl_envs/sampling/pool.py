"""The examples of a split of a dataset by class, and how distinct ones are drawn."""

from typing import Any

import numpy as np
import torch

from gpicl_envs.datasets.dataset import Dataset, as_tensor
from gpicl_envs.errors import check_integer, shortened
from gpicl_envs.sampling.philox import Streams

# If more than a quarter of the examples are drawn, shuffling them costs less than drawing repeats again.
SHUFFLE_FRACTION = 1 / 4
N_CLASSES = 10  # of a task, if there are enough


def shuffle(streams: Streams, size: torch.Tensor, n: int, substream: int) -> torch.Tensor:
    """Return (B, n) distinct integers, uniform below size (B, 1): the first n in a random order. O(size log size)."""
    keys = streams.uniform(int(size.max()), substream=substream)
    keys = keys.masked_fill(torch.arange(keys.shape[1], device=keys.device) >= size, 2.0)
    return keys.argsort(dim=1, stable=True)[:, :n].contiguous()


def occurrence(number: torch.Tensor) -> torch.Tensor:
    """Return (B, N) how often each number (B, N) came before in its row."""
    ordered, place = number.sort(dim=1, stable=True)
    within_run = torch.arange(number.shape[1], device=number.device) - torch.searchsorted(ordered, ordered)
    return torch.empty_like(number).scatter_(1, place, within_run)


def draw_distinct(
    streams: Streams, size: torch.Tensor, n: int, substream: int, start: torch.Tensor | int = 0
) -> torch.Tensor:
    """Return (B, n) distinct integers, uniform on start … start + size − 1, drawing repeats again. O(n log n).

    The rule treats all numbers of a range alike, so every ordered choice is equally likely.

    Args:
        streams: B streams.
        size: (B, 1) or (B, n), the size of each range.
        n: number of integers.
        substream: the first substream to read; each round of repeats reads the next one.
        start: (B, n), the first integer of each range; two ranges are equal or disjoint.
    """
    draws = streams.below(size, n, substream=substream) + start
    rows = np.arange(len(streams))
    while True:
        some = torch.from_numpy(rows).to(draws.device)
        ordered, place = draws[some].sort(dim=1, stable=True)
        repeats = torch.zeros_like(ordered, dtype=torch.bool)
        repeats.scatter_(1, place[:, 1:], ordered[:, 1:] == ordered[:, :-1])
        again = repeats.any(1)
        if not bool(again.any()):
            return draws
        rows, some, substream = rows[again.cpu().numpy()], some[again], substream + 1
        fresh = streams[rows].below(size[some], n, substream=substream) + (
            start if isinstance(start, int) else start[some]
        )
        draws[some] = torch.where(repeats[again], fresh, draws[some])


class Pool:
    """The M examples, of C classes, of a split of a dataset.

    Args:
        dataset: the dataset.
        split: `"train"` or `"test"`.
        classes: `(first, stop)`: only examples of base classes first … stop − 1; None for all.
        device: where the examples are drawn.
    """

    def __init__(self, dataset: Dataset, split: str, classes: Any, device: torch.device) -> None:
        self.range = _check_range(classes, dataset)
        self.name, self.n_classes = f"the {split} split of {dataset.name}", dataset.n_classes
        self.with_replacement = dataset.with_replacement
        self.labels = labels = as_tensor(dataset.split(split)[1]).to(device)  # (M,) classes 0 … C − 1
        self.counts = torch.bincount(labels, minlength=self.n_classes)
        self.starts = self.counts.cumsum(0) - self.counts
        if self.range is not None:
            first, stop = self.range
            self.counts[:first] = self.counts[stop:] = 0
            self.name += f", classes {first} … {stop - 1},"
        self.by_class = labels.argsort(stable=True)  # (M,) example numbers
        self.present = self.counts.nonzero()[:, 0]  # classes that have examples
        self._smallest_first = self.counts.sort().values.tolist()

    @property
    def default_n_classes(self) -> int:
        """K if none is given: 10, or fewer if the dataset has fewer classes or the split has examples of fewer."""
        if self.n_classes <= N_CLASSES and self.range is None:
            return self.n_classes
        return min(N_CLASSES, len(self.present))

    def smallest(self, n_classes: int) -> int:
        """Return the number of examples of the smallest `n_classes` classes: every task has at least as many."""
        absent = 0 if n_classes == self.n_classes else self.n_classes - len(self.present)
        return sum(self._smallest_first[absent : absent + n_classes])

    def draw(
        self, streams: Streams, classes: torch.Tensor, active: torch.Tensor | None, least: int, n: int, substream: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw n examples uniformly from those of the classes, reading substreams from `substream` on.

        Args:
            streams: B streams.
            classes: (B, M) base classes of each task.
            active: (B, M) those that it uses; None for all K.
            least: the least number of classes that a task uses.
            n: number of examples.
            substream: the first to read.

        Returns (B, n) example numbers, and (B, n) class numbers 0 … M − 1.
        """
        counts = self.counts[classes] if active is None else self.counts[classes] * active
        ends = counts.cumsum(1)
        size = ends[:, -1:]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream)
        elif n > SHUFFLE_FRACTION * self.smallest(least):
            place = shuffle(streams, size, n, substream)
        else:
            place = draw_distinct(streams, size, n, substream)
        if active is None and least == self.n_classes:
            return place, self.labels[place]
        number = torch.searchsorted(ends, place, right=True)
        base_class = classes.gather(1, number)
        within = place - (ends.gather(1, number) - self.counts[base_class])
        return self.by_class[self.starts[base_class] + within], number

    def draw_of(
        self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, substream: int, crowded: bool
    ) -> torch.Tensor:
        """Return (B, N) distinct example numbers, one for each class number (B, N) among the classes (B, M).

        No class number may occur more often than its class has examples; `crowded` says that it may come near that.
        """
        n = number.shape[1]
        base_class = classes.gather(1, number)
        size, start = self.counts[base_class], self.starts[base_class]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream) + start
        elif crowded:
            place = self._shuffled_within(streams, classes, number, substream)
        else:
            place = draw_distinct(streams, size, n, substream, start)
        return self.by_class[place]

    def _shuffled_within(
        self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, substream: int
    ) -> torch.Tensor:
        """(B, N) places in `by_class`: each time the next example of the class, in a random order of its examples."""
        counts = self.counts[classes]
        ends = counts.cumsum(1)
        slots = torch.arange(int(ends[:, -1].max()), device=ends.device).expand(len(ends), -1).contiguous()
        owner = torch.searchsorted(ends, slots, right=True)  # class number of each slot; K beyond the last
        order = (owner + streams.uniform(slots.shape[1], substream=substream)).argsort(dim=1, stable=True)
        first = ends - counts
        slot = order.gather(1, first.gather(1, number) + occurrence(number))
        return slot - first.gather(1, number) + self.starts[classes.gather(1, number)]


def _check_range(classes: Any, dataset: Dataset) -> tuple[int, int] | None:
    if classes is None:
        return None
    if not isinstance(classes, list | tuple) or len(classes) != 2:
        raise ValueError(f"classes={shortened(classes)} is not allowed: give (first, stop), such as (0, 8).")
    first = check_integer("classes", classes[0], 0, dataset.n_classes - 2, f"the first of those of {dataset.name}")
    return first, check_integer(
        "classes", classes[1], first + 2, dataset.n_classes, f"where those from {first} on stop"
    )


def check_counts(given: Any, most: int, why: str, default: tuple[int, int]) -> tuple[Any, tuple[int, int]]:
    """Return `active_classes` in plain numbers, and the least and the largest number of classes of a task.

    Args:
        given: one number, two or None.
        most: classes that there are.
        why: the reason for this limit.
        default: what None stands for.
    """
    if given is None:
        return None, default
    ends = list(given) if isinstance(given, list | tuple | np.ndarray) else [given] * 2
    counts = tuple(check_integer("active_classes", end, 2, most, why) for end in ends)
    if len(counts) != 2 or counts[0] > counts[1]:
        raise ValueError(f"active_classes={shortened(given)} is not allowed: give one number, or (low, high).")
    low, high = counts
    return (low if ends[0] is given else [low, high]), (low, high)
