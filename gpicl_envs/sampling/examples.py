"""Which examples an episode shows: the classes of its task, how often each comes, and in which order."""

import numpy as np
import torch

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import CLASS_RANKS, CLASS_SEQUENCE, CLASSES, EXAMPLES, SHOT_ORDER, TASK_EXAMPLES


def shuffle(streams: Streams, size: torch.Tensor, n: int, substream: int) -> torch.Tensor:
    """(B, n) distinct whole numbers, uniform below size (B, 1): the first n of a random order. O(size log size)."""
    keys = streams.uniform(int(size.max()), substream=substream)
    keys = keys.masked_fill(torch.arange(keys.shape[1], device=keys.device) >= size, 2.0)
    return keys.argsort(dim=1, stable=True)[:, :n].contiguous()


def draw_distinct(
    streams: Streams, size: torch.Tensor, n: int, substream: int, start: torch.Tensor | int = 0
) -> torch.Tensor:
    """(B, n) distinct whole numbers, uniform on start … start + size − 1: repeated ones are drawn again. O(n log n).

    Within equal (start, size), the rule treats all numbers alike, so every ordered choice is equally likely.

    Args:
        streams: B streams.
        size: (B, 1) or (B, n) how many numbers there are to choose from.
        n: how many to choose.
        substream: of the streams.
        start: (B, n) the first of them; the ranges of two places are equal or disjoint.
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


# Above this share of what there is to draw from, a shuffle is cheaper than drawing repeated numbers again.
SHUFFLE_FRACTION = 4


class Pool:
    """M examples of C classes.

    Args:
        labels: (M,) int64 classes 0 … C − 1.
        n_classes: C.
        with_replacement: whether an episode may show an example twice.
    """

    def __init__(self, labels: torch.Tensor, n_classes: int, with_replacement: bool = False) -> None:
        self.labels, self.n_classes, self.with_replacement = labels, n_classes, with_replacement
        self.counts = torch.bincount(labels, minlength=n_classes)
        self.starts = self.counts.cumsum(0) - self.counts
        self.by_class = labels.argsort(stable=True)  # (M,) example numbers
        self.present = self.counts.nonzero()[:, 0]  # classes that have examples at all
        self._smallest_first = self.counts.sort().values.tolist()

    def smallest(self, n_classes: int) -> int:
        """Return how many examples the smallest `n_classes` classes have together: what every task has at the least."""
        absent = 0 if n_classes == self.n_classes else self.n_classes - len(self.present)
        return sum(self._smallest_first[absent : absent + n_classes])

    def draw(
        self, streams: Streams, classes: torch.Tensor, n: int, substream: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw uniformly from the examples of the classes.

        Args:
            streams: B streams.
            classes: (B, K) classes of each task.
            n: N.
            substream: of the streams.

        Returns:
            (B, N) example numbers, and (B, N) class numbers 0 … K − 1.
        """
        n_classes = classes.shape[1]
        ends = self.counts[classes].cumsum(1)
        size = ends[:, -1:]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream)
        elif SHUFFLE_FRACTION * n > self.smallest(n_classes):
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
        """Draw one example of each wanted class, all of them distinct.

        Args:
            streams: B streams.
            classes: (B, K) classes of each task.
            number: (B, N) wanted class numbers 0 … K − 1; no class more often than it has examples.
            substream: of the streams.

        Returns:
            (B, N) example numbers.
        """
        n = number.shape[1]
        base_class = classes.gather(1, number)
        size, start = self.counts[base_class], self.starts[base_class]
        if self.with_replacement:
            place = streams.below(size, n, substream=substream) + start
        elif SHUFFLE_FRACTION * n > self.smallest(1):
            place = self._shuffled_within(streams, classes, number, substream)
        else:
            place = draw_distinct(streams, size, n, substream, start)
        return self.by_class[place]

    def _shuffled_within(
        self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, substream: int
    ) -> torch.Tensor:
        """(B, N) places in `by_class`: the next example of each wanted class, in a random order of the class."""
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


class Examples:
    """How episodes draw their examples from the pool of a split; the arguments are those of `TaskDistribution`.

    Args:
        pool: the examples.
        where: their name in messages.
        length: N.
        n_classes: K.
        shots: examples of each class before the queries, or None.
        class_imbalance: ratio of the largest and the smallest probability of a class.
        examples_per_task: size of the fixed set that the episodes of a task draw from, or None for the whole pool.
    """

    def __init__(
        self,
        pool: Pool,
        where: str,
        *,
        length: int,
        n_classes: int,
        shots: int | None,
        class_imbalance: float,
        examples_per_task: int | None = None,
    ) -> None:
        self.pool, self.where, self.length, self.n_classes = pool, where, length, n_classes
        self.shots, self.class_imbalance, self.examples_per_task = shots, class_imbalance, examples_per_task
        self._check_classes()
        self._check_length()

    def classes(self, streams: Streams) -> torch.Tensor:
        """(B, K) base classes of each task, in increasing order: all of them, or K drawn from those present."""
        if self.n_classes == self.pool.n_classes:
            return torch.arange(self.n_classes, device=streams.device).expand(len(streams), -1)
        present = self.pool.present
        drawn = streams.permutation(len(present), substream=CLASSES)[:, : self.n_classes]
        return present[drawn.sort(dim=1).values]  # in order, so that a fixed ρ means the same in every task

    def draw(self, episode: Streams, task: Streams, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) example numbers of the split, and (B, N) class numbers 0 … K − 1 within the task."""
        if self.examples_per_task is not None:
            return self._of_the_task(episode, task, classes, self.examples_per_task)
        if self._draws_uniformly:
            return self.pool.draw(episode, classes, self.length, EXAMPLES)
        number = self._support_and_queries(episode) if self.shots else self._unequal(episode, task)
        return self.pool.draw_of(episode, classes, number, EXAMPLES), number

    def _of_the_task(
        self, episode: Streams, task: Streams, classes: torch.Tensor, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `draw`, from the `size` examples that the task drew once."""
        index, number = self.pool.draw(task, classes, size, TASK_EXAMPLES)
        order = episode.permutation(size, substream=EXAMPLES)[:, : self.length]
        return index.gather(1, order), number.gather(1, order)

    def _support_and_queries(self, episode: Streams) -> torch.Tensor:
        """(B, N) class numbers: each of them `shots` times in random order, then uniform ones."""
        assert self.shots is not None
        support = episode.permutation(self.n_classes * self.shots, substream=SHOT_ORDER) % self.n_classes
        queries = episode.below(self.n_classes, self.length - support.shape[1], substream=CLASS_SEQUENCE)
        return torch.cat([support, queries], dim=1)

    def _unequal(self, episode: Streams, task: Streams) -> torch.Tensor:
        """(B, N) class numbers, drawn with odds on a geometric scale, in an order of classes that the task draws."""
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
            check_integer("n_classes", self.n_classes, 2, present, f"{self.where} has no more")
        elif present < self.n_classes and not self._draws_uniformly:
            raise ValueError(
                f"shots and class_imbalance need examples of every class, but {self.where} has them of {present} of "
                f"{self.n_classes} classes: give a smaller n_classes, or leave both out."
            )

    def _check_length(self) -> None:
        """The pool must hold what the most demanding episode can want."""
        if self.shots is not None and self.class_imbalance != 1:
            raise ValueError(
                f"shots={self.shots} fixes how often each class is shown, so class_imbalance={self.class_imbalance} "
                "cannot be had with it: leave one of the two out."
            )
        if self.shots is not None:
            least = self.n_classes * self.shots + 1
            check_integer("length", self.length, least, None, f"K · shots = {least - 1} examples come before a query")
        if self.examples_per_task is not None:
            if not self._draws_uniformly:
                raise ValueError(
                    f"examples_per_task={self.examples_per_task} fixes the examples of a task, so shots and "
                    "class_imbalance cannot be had with it: leave it or them out."
                )
            most = None if self.pool.with_replacement else self.pool.smallest(self.n_classes)
            check_integer(
                "examples_per_task", self.examples_per_task, self.length, most, f"at least length; {self.where}"
            )
            return
        if self.pool.with_replacement:
            return
        if self._draws_uniformly:
            check_integer("length", self.length, 1, self.pool.smallest(self.n_classes), self.where)
            return
        most = self.length - (self.n_classes - 1) * (self.shots or 0)
        smallest = self.pool.smallest(1)
        if most > smallest:
            option = "class_imbalance" if self.shots is None else "shots"
            raise ValueError(
                f"length={self.length} with {option}={getattr(self, option)} may want {most} examples of one class, "
                f"but the smallest class of {self.where} has {smallest}: give a smaller length."
            )
