"""Which examples an episode shows: the classes of its task, how often each comes, and in which order."""

from dataclasses import dataclass
from typing import Any

import torch

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.class_sequences import Sequences, imbalanced, support_and_queries
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.pool import SHUFFLE_FRACTION, Pool
from gpicl_envs.sampling.substreams import ACTIVE_CLASSES, ACTIVE_COUNT, CLASSES, EXAMPLES, STREAM_START, TASK_EXAMPLES

ORDERS = RANDOM, STREAM = "random", "stream"


@dataclass(frozen=True)
class Examples:
    """How episodes draw their examples from a pool; the other arguments are as in `TaskDistribution`.

    Args:
        counts: the least and the largest number of classes that a task uses.
        draws_counts: whether it draws how many and which, instead of using all K.
        sequences: the order of the classes, if it is bursty, Zipfian, or of a chosen query.
        order: `"random"`, or `"stream"`: in the order of the data.

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
    sequences: Sequences
    order: str = RANDOM

    def __post_init__(self) -> None:
        self._check_classes()
        self._check_one_order()
        if self.order == STREAM:
            self._check_stream()
        elif self.examples_per_task is not None:
            self._check_examples_per_task(self.examples_per_task)
        elif self._draws_uniformly:
            most = None if self.pool.with_replacement else self.pool.smallest(self.counts[0])
            check_integer("length", self.length, 1, most, self._available)
        else:
            self.sequences.check(self.length, self.counts[0])
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
        if self.order == STREAM:  # from a random place on
            last = len(self.pool.labels) - self.length
            start = episode.below(last + 1, 1, substream=STREAM_START)
            index = start + torch.arange(self.length, device=episode.device)
            return index, self.pool.labels[index]
        if self._draws_uniformly:
            return self.pool.draw(episode, classes, some, least, self.length, EXAMPLES)
        if self.sequences.given:
            number = self.sequences.draw(episode, active, self.length)
        elif self.shots:
            number = support_and_queries(episode, active, self.shots, self.length)
        else:
            number = imbalanced(episode, task, active, self.counts, self.class_imbalance, self.length)
        crowded = self.length > SHUFFLE_FRACTION * self.pool.smallest(1)
        if self.sequences.given:  # of many classes, none is likely to occur often
            often = self.sequences.most(self.length) > SHUFFLE_FRACTION * self.pool.smallest(1)
            crowded = often and classes.shape[1] < self.length
        return self.pool.draw_of(episode, classes, number, EXAMPLES, crowded), number

    @property
    def _draws_uniformly(self) -> bool:
        return not self._orders

    @property
    def _orders(self) -> list[str]:
        """The arguments, as given, that say how often each class is shown."""
        given: dict[str, Any] = {} if self.shots is None else {"shots": self.shots}
        given |= {} if self.class_imbalance == 1 else {"class_imbalance": self.class_imbalance}
        given |= self.sequences.given
        return [f"{name}={value!r}" for name, value in given.items()]

    @property
    def _available(self) -> str:
        """What the examples of a task come from, in words."""
        return f"{self.counts[0]} classes of {self.pool.name}" if self.draws_counts else self.pool.name

    def _check_classes(self) -> None:
        present, n_classes = len(self.pool.present), self.counts[1]
        if self.draws_counts:
            return
        if n_classes < self.pool.n_classes or self.pool.range:
            check_integer("n_classes", n_classes, 2, present, f"{self.pool.name} has no more")
        elif present < n_classes and not self._draws_uniformly:
            raise ValueError(
                f"{' and '.join(self._orders)} needs examples of every class, but {self.pool.name} has examples of "
                f"only {present} of {n_classes} classes: give a smaller n_classes, or leave it out."
            )

    def _check_one_order(self) -> None:
        """Raise ValueError for two arguments that say how often each class is shown."""
        if self._orders and self.examples_per_task is not None:
            raise ValueError(
                f"examples_per_task={self.examples_per_task} fixes the examples of a task, which "
                f"{' and '.join(self._orders)} cannot do too: leave it or them out."
            )
        if len(self._orders) > max(1, len(self.sequences.given)):
            raise ValueError(
                f"{self._orders[0]} fixes how often each class is shown, and so does {' and '.join(self._orders[1:])}: "
                "leave one of the two out."
            )

    def _check_examples_per_task(self, given: int) -> None:
        most = None if self.pool.with_replacement else self.pool.smallest(self.counts[0])
        check_integer("examples_per_task", given, self.length, most, f"at least length; {self._available}")

    def _check_stream(self) -> None:
        """In the data's own order, all examples of all classes come."""
        others = self._orders + ([f"classes={self.pool.range!r}"] if self.pool.range else [])
        others += [f"examples_per_task={self.examples_per_task}"] if self.examples_per_task is not None else []
        others += ["active_classes"] if self.draws_counts else []
        if others:
            raise ValueError(
                f"order='stream' shows the data as they come, which {' and '.join(others)} cannot do: leave one out."
            )
        if self.counts[1] != self.pool.n_classes:
            raise ValueError(
                f"order='stream' shows every class of {self.pool.name}, but n_classes={self.counts[1]}: give "
                f"n_classes={self.pool.n_classes}."
            )
        check_integer("length", self.length, 1, len(self.pool.labels), f"{self.pool.name} has no more examples")

    def _check_class_sizes(self) -> None:
        """One class may fill all places that are not reserved for others."""
        most = self.length
        if self.shots is not None:
            least = self.counts[1] * self.shots + 1
            check_integer("length", self.length, least, None, f"K · shots = {least - 1} examples come before a query")
            most = self.length - (self.counts[0] - 1) * self.shots
        elif self.sequences.given:
            most = self.sequences.most(self.length)
        smallest = self.pool.smallest(1)
        if most > smallest and not self.pool.with_replacement:
            option = " and ".join(self._orders)
            raise ValueError(
                f"length={self.length} with {option} may need {most} examples of one class, but the smallest class of "
                f"{self.pool.name} has {smallest}: give a smaller length."
            )
