"""The examples of one split of a base dataset, by class, and the ways in which an episode draws from them."""

import torch

from gpicl_envs.sampling.choice import draw_distinct, shuffle
from gpicl_envs.sampling.philox import Streams

# Above this share of what there is to draw from, a shuffle is cheaper than drawing repeated numbers again.
SHUFFLE_SHARE = 4


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

    def draw(self, streams: Streams, classes: torch.Tensor, n: int, part: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw uniformly from the examples of the classes.

        Args:
            streams: B streams.
            classes: (B, K) classes of each task.
            n: N.
            part: of the streams.

        Returns:
            (B, N) example numbers, and (B, N) class numbers 0 … K − 1.
        """
        n_classes = classes.shape[1]
        ends = self.counts[classes].cumsum(1)
        size = ends[:, -1:]
        if self.with_replacement:
            place = streams.below(size, n, part=part)
        elif SHUFFLE_SHARE * n > self.smallest(n_classes):
            place = shuffle(streams, size, n, part)
        else:
            place = draw_distinct(streams, size, n, part)
        if n_classes == self.n_classes:
            return place, self.labels[place]
        number = torch.searchsorted(ends, place, right=True)
        base_class = classes.gather(1, number)
        within = place - (ends.gather(1, number) - self.counts[base_class])
        return self.by_class[self.starts[base_class] + within], number

    def draw_of(self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, part: int) -> torch.Tensor:
        """Draw one example of each wanted class, all of them distinct.

        Args:
            streams: B streams.
            classes: (B, K) classes of each task.
            number: (B, N) wanted class numbers 0 … K − 1; no class more often than it has examples.
            part: of the streams.

        Returns:
            (B, N) example numbers.
        """
        n = number.shape[1]
        base_class = classes.gather(1, number)
        size, start = self.counts[base_class], self.starts[base_class]
        if self.with_replacement:
            place = streams.below(size, n, part=part) + start
        elif SHUFFLE_SHARE * n > self.smallest(1):
            place = self._shuffled_within(streams, classes, number, part)
        else:
            place = draw_distinct(streams, size, n, part, start)
        return self.by_class[place]

    def _shuffled_within(
        self, streams: Streams, classes: torch.Tensor, number: torch.Tensor, part: int
    ) -> torch.Tensor:
        """(B, N) places in `by_class`: the next example of each wanted class, in a random order of the class."""
        counts = self.counts[classes]
        ends = counts.cumsum(1)
        slots = torch.arange(int(ends[:, -1].max()), device=ends.device).expand(len(ends), -1).contiguous()
        owner = torch.searchsorted(ends, slots, right=True)  # class number of each slot; K beyond the last
        order = (owner + streams.uniform(slots.shape[1], part=part)).argsort(dim=1, stable=True)
        first = ends - counts
        turn = torch.zeros_like(number)
        for k in range(classes.shape[1]):
            wanted = number == k
            turn += wanted * (wanted.cumsum(1) - 1)
        slot = order.gather(1, first.gather(1, number) + turn)
        return slot - first.gather(1, number) + self.starts[classes.gather(1, number)]
