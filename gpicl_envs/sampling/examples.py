"""Which examples an episode shows: the classes of its task, how often each comes, and in which order."""

from dataclasses import dataclass

import numpy as np
import torch

from gpicl_envs.datasets.dataset import Dataset, as_tensor
from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import CLASS_RANKS, CLASS_SEQUENCE, CLASSES, EXAMPLES, SHOT_ORDER, TASK_EXAMPLES

# If more than a quarter of the examples are drawn, shuffling them costs less than drawing repeats again.
SHUFFLE_FRACTION = 1 / 4
N_CLASSES = 10  # of a task, if there are enough


def shuffle(streams: Streams, size: torch.Tensor, n: int, substream: int) -> torch.Tensor:
    """Return (B, n) distinct integers, uniform below size (B, 1): the first n in a random order. O(size log size)."""
    keys = streams.uniform(int(size.max()), substream=substream)
    keys = keys.masked_fill(torch.arange(keys.shape[1], device=keys.device) >= size, 2.0)
    return keys.argsort(dim=1, stable=True)[:, :n].contiguous()


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
        self, streams: Streams, classes: torch.Tensor, n: int, substream: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw n examples uniformly from those of the classes (B, K), reading substreams from `substream` on.

        Returns (B, n) example numbers, and (B, n) class numbers 0 … K − 1.
        """
        n_classes = classes.shape[1]
        ends = self.counts[classes].cumsum(1)
        size = ends[:, -1:]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream)
        elif n > SHUFFLE_FRACTION * self.smallest(n_classes):
            place = shuffle(streams, size, n, substream)
        else:
            place = draw_distinct(streams, size, n, substream)
        if n_classes == self.n_classes:
            return place, self.labels[place]
        number = torch.searchsorted(ends, place, right=True)
        base_class = classes.gather(1, number)
        within = place - (ends.gather(1, number) - self.counts[base_class])
        return self.by_class[self.starts[base_class] + within], number

    def draw_of(self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, substream: int) -> torch.Tensor:
        """Return (B, N) distinct example numbers, one for each class number (B, N) among the classes (B, K).

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
        turn = torch.zeros_like(number)
        for k in range(classes.shape[1]):
            wanted = number == k
            turn += wanted * (wanted.cumsum(1) - 1)
        slot = order.gather(1, first.gather(1, number) + turn)
        return slot - first.gather(1, number) + self.starts[classes.gather(1, number)]


@dataclass(frozen=True)
class Examples:
    """How episodes draw their examples from a pool; the other arguments are as in `TaskDistribution`.

    Raises:
        ValueError: the pool has too few classes or examples, or two arguments exclude each other.
    """

    pool: Pool
    length: int
    n_classes: int
    shots: int | None
    class_imbalance: float
    examples_per_task: int | None

    def __post_init__(self) -> None:
        self._check_classes()
        if self.examples_per_task is not None:
            self._check_examples_per_task(self.examples_per_task)
        elif self._draws_uniformly:
            most = None if self.pool.with_replacement else self.pool.smallest(self.n_classes)
            check_integer("length", self.length, 1, most, self.pool.name)
        else:
            self._check_class_sizes()

    def classes(self, streams: Streams) -> torch.Tensor:
        """(B, K) base classes of each task, in increasing order: all of them, or K drawn from those present."""
        if self.n_classes == self.pool.n_classes:
            return torch.arange(self.n_classes, device=streams.device).expand(len(streams), -1)
        present = self.pool.present
        drawn = streams.permutation(len(present), substream=CLASSES)[:, : self.n_classes]
        return present[drawn.sort(dim=1).values]  # in order, so that a fixed ρ means the same in every task

    def draw(self, episode: Streams, task: Streams, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) example numbers of the split, and (B, N) class numbers 0 … K − 1 within the task."""
        if self.examples_per_task is not None:  # drawn once by the task, for all its episodes
            index, number = self.pool.draw(task, classes, self.examples_per_task, TASK_EXAMPLES)
            order = episode.permutation(self.examples_per_task, substream=EXAMPLES)[:, : self.length]
            return index.gather(1, order), number.gather(1, order)
        if self._draws_uniformly:
            return self.pool.draw(episode, classes, self.length, EXAMPLES)
        number = self._support_and_queries(episode, self.shots) if self.shots else self._imbalanced(episode, task)
        return self.pool.draw_of(episode, classes, number, EXAMPLES), number

    def _support_and_queries(self, episode: Streams, shots: int) -> torch.Tensor:
        """(B, N) class numbers: each of them `shots` times in random order, then uniform ones."""
        support = episode.permutation(self.n_classes * shots, substream=SHOT_ORDER) % self.n_classes
        queries = episode.below(self.n_classes, self.length - support.shape[1], substream=CLASS_SEQUENCE)
        return torch.cat([support, queries], dim=1)

    def _imbalanced(self, episode: Streams, task: Streams) -> torch.Tensor:
        """(B, N) class numbers, drawn with odds on a geometric scale; the task ranks its classes at random."""
        odds = self.class_imbalance ** (-np.arange(self.n_classes) / (self.n_classes - 1))
        ends = torch.from_numpy((odds / odds.sum()).cumsum()[:-1]).to(episode.device)
        rank = torch.searchsorted(ends, episode.uniform(self.length, substream=CLASS_SEQUENCE), right=True)
        return task.permutation(self.n_classes, substream=CLASS_RANKS).gather(1, rank)

    @property
    def _draws_uniformly(self) -> bool:
        return self.shots is None and self.class_imbalance == 1

    def _check_classes(self) -> None:
        present = len(self.pool.present)
        if self.n_classes < self.pool.n_classes:
            check_integer("n_classes", self.n_classes, 2, present, f"{self.pool.name} has no more")
        elif present < self.n_classes and not self._draws_uniformly:
            raise ValueError(
                f"shots and class_imbalance need examples of every class, but {self.pool.name} has examples of only "
                f"{present} of {self.n_classes} classes: give a smaller n_classes, or leave both out."
            )

    def _check_examples_per_task(self, given: int) -> None:
        if not self._draws_uniformly:
            raise ValueError(
                f"examples_per_task={given} fixes the examples of a task, which shots and class_imbalance cannot do "
                "too: leave it or them out."
            )
        most = None if self.pool.with_replacement else self.pool.smallest(self.n_classes)
        check_integer("examples_per_task", given, self.length, most, f"at least length; {self.pool.name}")

    def _check_class_sizes(self) -> None:
        """With shots or class imbalance, one class may fill all places that are not reserved for others."""
        if self.shots is not None:
            if self.class_imbalance != 1:
                raise ValueError(
                    f"shots={self.shots} fixes how often each class is shown, and so does class_imbalance="
                    f"{self.class_imbalance}: leave one of the two out."
                )
            least = self.n_classes * self.shots + 1
            check_integer("length", self.length, least, None, f"K · shots = {least - 1} examples come before a query")
        most = self.length - (self.n_classes - 1) * (self.shots or 0)
        smallest = self.pool.smallest(1)
        if most > smallest and not self.pool.with_replacement:
            option = "class_imbalance" if self.shots is None else "shots"
            raise ValueError(
                f"length={self.length} with {option}={getattr(self, option)} may need {most} examples of one class, "
                f"but the smallest class of {self.pool.name} has {smallest}: give a smaller length."
            )
