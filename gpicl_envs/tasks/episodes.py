"""`Episodes`, the batches that a distribution of learning problems draws, and the hidden tasks behind them."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.sampling.philox import Streams


@dataclass(frozen=True)
class Tasks:
    """The hidden side of B tasks.

    Args:
        ids: (B,) int64 task ids, −1 for one-off tasks.
        streams: the B streams of random words from which the tasks are made.
    """

    ids: torch.Tensor
    streams: Streams

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: NDArray[np.int64]) -> Self:
        place = torch.from_numpy(rows).to(self.ids.device)
        return type(self)(**{name: value[rows if name == "streams" else place] for name, value in self._fields()})

    def replaced(self, rows: NDArray[np.int64], new: Self) -> Self:
        """Return these tasks with those of `new` in the given rows."""
        place = torch.from_numpy(rows).to(self.ids.device)
        merged: dict[str, Any] = {"streams": self.streams.replaced(rows, new.streams)}
        for name, value in self._fields():
            if name != "streams":
                merged[name] = value.index_copy(0, place, getattr(new, name))
        return type(self)(**merged)

    def _fields(self) -> list[tuple[str, Any]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


@dataclass(frozen=True)
class ClassificationTasks(Tasks):
    """The hidden side of B classification tasks, in S segments (one, unless the task drifts).

    Args:
        ids: (B,) int64 task ids, −1 for one-off tasks.
        streams: the B streams of random words from which the tasks are made.
        classes: (B, M) int64, the base class behind each class number 0 … M − 1 of the task; M = K unless
            `active_classes` are given.
        permutation: (B, S, M) int64, ρ: the label of each class number in each segment.
        active: (B, M) bool, the class numbers that the task uses.
    """

    classes: torch.Tensor
    permutation: torch.Tensor
    active: torch.Tensor


@dataclass(frozen=True)
class Episodes:
    """B episodes of N examples.

    Args:
        x: (B, N, D) float32 inputs.
        y: (B, N) int64 labels, or float32 values for regression.
        index: (B, N) int64, the number of each example in its split of the base dataset (−1 for regression).
        tasks: the hidden tasks.
    """

    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor
    tasks: Any

    @property
    def task_id(self) -> torch.Tensor:
        """(B,) int64 task ids, −1 for one-off tasks."""
        return self.tasks.ids

    @property
    def groups(self) -> torch.Tensor:
        """(B,) int64: episodes of one task have one number, −1 for one-off tasks; in mixtures too, without task ids."""
        return getattr(self.tasks, "groups", self.tasks.ids)

    def __len__(self) -> int:
        return len(self.x)

    def replaced(self, rows: NDArray[np.int64], new: "Episodes") -> "Episodes":
        """Return these episodes with those of `new` in the given rows."""
        place = torch.from_numpy(rows).to(self.x.device)
        for own, other in ((self.x, new.x), (self.y, new.y), (self.index, new.index)):
            own[place] = other
        return Episodes(self.x, self.y, self.index, self.tasks.replaced(rows, new.tasks))
