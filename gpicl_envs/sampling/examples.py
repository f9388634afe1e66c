"""Which examples an episode shows: the classes of its task, how often each comes, and in which order."""

from dataclasses import dataclass

import numpy as np
import torch

from gpicl_envs.datasets.dataset import Dataset, as_tensor
from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.class_sequences import imbalanced, support_and_queries
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import ACTIVE_CLASSES, ACTIVE_COUNT, CLASSES, EXAMPLES, TASK_EXAMPLES

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
    """The M examples, of C classes, of a split of a dataset."""

    def __init__(self, dataset: Dataset, split: str, device: torch.device) -> None:
        self.name, self.n_classes = f"the {split} split of {dataset.name}", dataset.n_classes
        self.with_replacement = dataset.with_replacement
        self.labels = labels = as_tensor(dataset.split(split)[1]).to(device)  # (M,) classes 0 … C − 1
        self.counts = torch.bincount(labels, minlength=self.n_classes)
        self.starts = self.counts.cumsum(0) - self.counts
        self.by_class = labels.argsort(stable=True)  # (M,) example numbers
        self.present = self.counts.nonzero()[:, 0]  # classes that have examples
        self._smallest_first = self.counts.sort().values.tolist()

    @property
    def default_n_classes(self) -> int:
        """K if none is given: 10, or fewer if the dataset has fewer classes or the split has examples of fewer."""
        return self.n_classes if self.n_classes <= N_CLASSES else min(N_CLASSES, len(self.present))

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

    def draw_of(self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, substream: int) -> torch.Tensor:
        """Return (B, N) distinct example numbers, one for each class number (B, N) among the classes (B, M).

        No class number may occur more often than its class has examples.
        """
        n = number.shape[1]
        base_class = classes.gather(1, number)
        size, start = self.counts[base_class], self.starts[base_class]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream) + start
        elif n > SHUFFLE_FRACTION * self.smallest(1):
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


@dataclass(frozen=True)
class Examples:
    """How episodes draw their examples from a pool; the other arguments are as in `TaskDistribution`.

    Args:
        counts: the least and the largest number of classes that a task uses.
        draws_counts: whether it draws how many and which, instead of using all K.

    Raises:
        ValueError: the pool has too few classes or examples, or two arguments exclude each other.
    """

    pool: Pool
    length: int
    counts: tuple[int, int]
    draws_counts: bool
    shots: int | None
    class_imbalance: float
    examples_per_task: int | None

    def __post_init__(self) -> None:
        self._check_classes()
        if self.examples_per_task is not None:
            self._check_examples_per_task(self.examples_per_task)
        elif self._draws_uniformly:
            most = None if self.pool.with_replacement else self.pool.smallest(self.counts[0])
            check_integer("length", self.length, 1, most, self._available)
        else:
            self._check_class_sizes()

    def classes(self, streams: Streams) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, M) base classes of each task, in increasing order, and (B, M) whether it uses each of them.

        They are all, or drawn from those present; M is the largest number of classes that a task uses.
        """
        (low, high), present = self.counts, self.pool.present
        if not self.draws_counts:
            used = torch.ones(1, dtype=torch.bool, device=streams.device).expand(len(streams), high)
            if high == self.pool.n_classes:
                return torch.arange(high, device=streams.device).expand(len(streams), -1), used
            drawn = streams.permutation(len(present), substream=CLASSES)[:, :high]
            return present[drawn.sort(dim=1).values], used  # in order, so that a fixed ρ means the same in every task
        drawn = streams.permutation(len(present), substream=ACTIVE_CLASSES)[:, :high]
        count = low + streams.below(high - low + 1, 1, substream=ACTIVE_COUNT)
        drawn, order = drawn.sort(dim=1)
        return present[drawn], order < count  # the first `count` classes that were drawn

    def draw(
        self, episode: Streams, task: Streams, classes: torch.Tensor, active: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) example numbers of the split, and (B, N) class numbers 0 … M − 1 within the task."""
        some, least = active if self.draws_counts else None, self.counts[0]
        if self.examples_per_task is not None:  # drawn once by the task, for all its episodes
            index, number = self.pool.draw(task, classes, some, least, self.examples_per_task, TASK_EXAMPLES)
            order = episode.permutation(self.examples_per_task, substream=EXAMPLES)[:, : self.length]
            return index.gather(1, order), number.gather(1, order)
        if self._draws_uniformly:
            return self.pool.draw(episode, classes, some, least, self.length, EXAMPLES)
        if self.shots:
            number = support_and_queries(episode, active, self.shots, self.length)
        else:
            number = imbalanced(episode, task, active, self.counts, self.class_imbalance, self.length)
        return self.pool.draw_of(episode, classes, number, EXAMPLES), number

    @property
    def _draws_uniformly(self) -> bool:
        return self.shots is None and self.class_imbalance == 1

    @property
    def _available(self) -> str:
        """What the examples of a task come from, in words."""
        return f"{self.counts[0]} classes of {self.pool.name}" if self.draws_counts else self.pool.name

    def _check_classes(self) -> None:
        present, n_classes = len(self.pool.present), self.counts[1]
        if self.draws_counts:
            return
        if n_classes < self.pool.n_classes:
            check_integer("n_classes", n_classes, 2, present, f"{self.pool.name} has no more")
        elif present < n_classes and not self._draws_uniformly:
            raise ValueError(
                f"shots and class_imbalance need examples of every class, but {self.pool.name} has examples of only "
                f"{present} of {n_classes} classes: give a smaller n_classes, or leave both out."
            )

    def _check_examples_per_task(self, given: int) -> None:
        if not self._draws_uniformly:
            raise ValueError(
                f"examples_per_task={given} fixes the examples of a task, which shots and class_imbalance cannot do "
                "too: leave it or them out."
            )
        most = None if self.pool.with_replacement else self.pool.smallest(self.counts[0])
        check_integer("examples_per_task", given, self.length, most, f"at least length; {self._available}")

    def _check_class_sizes(self) -> None:
        """With shots or class imbalance, one class may fill all places that are not reserved for others."""
        if self.shots is not None:
            if self.class_imbalance != 1:
                raise ValueError(
                    f"shots={self.shots} fixes how often each class is shown, and so does class_imbalance="
                    f"{self.class_imbalance}: leave one of the two out."
                )
            least = self.counts[1] * self.shots + 1
            check_integer("length", self.length, least, None, f"K · shots = {least - 1} examples come before a query")
        most = self.length - (self.counts[0] - 1) * (self.shots or 0)
        smallest = self.pool.smallest(1)
        if most > smallest and not self.pool.with_replacement:
            option = "class_imbalance" if self.shots is None else "shots"
            raise ValueError(
                f"length={self.length} with {option}={getattr(self, option)} may need {most} examples of one class, "
                f"but the smallest class of {self.pool.name} has {smallest}: give a smaller length."
            )
