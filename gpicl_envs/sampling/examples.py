"""Which examples an episode shows: the classes of its task, how often each comes, and in which order."""

import numpy as np
import torch

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.parts import CLASS_RANKS, CLASS_SEQUENCE, CLASSES, EXAMPLES, SHOT_ORDER, TASK_EXAMPLES
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.pool import Pool


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
        drawn = streams.permutation(len(present), part=CLASSES)[:, : self.n_classes]
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
        order = episode.permutation(size, part=EXAMPLES)[:, : self.length]
        return index.gather(1, order), number.gather(1, order)

    def _support_and_queries(self, episode: Streams) -> torch.Tensor:
        """(B, N) class numbers: each of them `shots` times in random order, then uniform ones."""
        assert self.shots is not None
        support = episode.permutation(self.n_classes * self.shots, part=SHOT_ORDER) % self.n_classes
        queries = episode.below(self.n_classes, self.length - support.shape[1], part=CLASS_SEQUENCE)
        return torch.cat([support, queries], dim=1)

    def _unequal(self, episode: Streams, task: Streams) -> torch.Tensor:
        """(B, N) class numbers, drawn with odds on a geometric scale, in an order of classes that the task draws."""
        odds = self.class_imbalance ** (-np.arange(self.n_classes) / (self.n_classes - 1))
        ends = torch.from_numpy((odds / odds.sum()).cumsum()[:-1]).to(episode.device)
        rank = torch.searchsorted(ends, episode.uniform(self.length, part=CLASS_SEQUENCE), right=True)
        return task.permutation(self.n_classes, part=CLASS_RANKS).gather(1, rank)

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
