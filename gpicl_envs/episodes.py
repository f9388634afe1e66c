"""What a distribution of tasks hands out: batches of episodes, and the hidden tasks behind them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.philox import Streams


@dataclass(frozen=True)
class Tasks:
    """The hidden side of B tasks.

    Args:
        ids: (B,) int64 task ids, −1 for one-off tasks.
        classes: (B, K) int64, the base class behind each class number 0 … K − 1 of the task.
        permutation: (B, K) int64, ρ: the label of each class number.
        streams: the B streams that everything random about the tasks is read from.
    """

    ids: torch.Tensor
    classes: torch.Tensor
    permutation: torch.Tensor
    streams: Streams

    def replaced(self, rows: NDArray[np.int64], new: "Tasks") -> "Tasks":
        """Return these tasks with those of `new` in the given rows."""
        place = torch.from_numpy(rows).to(self.ids.device)
        ids, classes, permutation = (
            mine.index_copy(0, place, theirs)
            for mine, theirs in ((self.ids, new.ids), (self.classes, new.classes), (self.permutation, new.permutation))
        )
        return Tasks(ids, classes, permutation, self.streams.replaced(rows, new.streams))


@dataclass(frozen=True)
class Episodes:
    """B episodes of N examples.

    Args:
        x: (B, N, D) float32 inputs.
        y: (B, N) int64 labels.
        index: (B, N) int64, the number of each example in its split of the base dataset.
        tasks: the hidden tasks.
    """

    x: torch.Tensor
    y: torch.Tensor
    index: torch.Tensor
    tasks: Tasks

    @property
    def task_id(self) -> torch.Tensor:
        """(B,) int64 task ids, −1 for one-off tasks."""
        return self.tasks.ids

    def __len__(self) -> int:
        return len(self.x)

    def replaced(self, rows: NDArray[np.int64], new: "Episodes") -> "Episodes":
        """Return these episodes with those of `new` in the given rows."""
        place = torch.from_numpy(rows).to(self.x.device)
        for mine, theirs in ((self.x, new.x), (self.y, new.y), (self.index, new.index)):
            mine[place] = theirs
        return Episodes(self.x, self.y, self.index, self.tasks.replaced(rows, new.tasks))
