"""`Distribution`: what all distributions of problems have in common: arguments, streams of episodes, numbered tasks.

Nothing here has state: an episode is a function of its stream's seed and its number in that stream, and a task of its
id. Any batch size, order, process or device therefore gives the same episodes.
"""

import inspect
from abc import ABC
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.datasets.dataset import SPLITS
from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.sampling.philox import WORD, Streams, UInt64Array
from gpicl_envs.sampling.substreams import EPISODE, FIXED_TASK, ONE_OFF_TASK, TASK_ID

ONE_OFF = -1
MAX_TASKS = 1 << 31


def successive(batch_size: int, seed: int, first: int) -> tuple[UInt64Array, UInt64Array]:
    """Return (B,) seeds and numbers: episodes number `first` … `first + batch_size − 1` of the stream `seed`."""
    check_integer("batch_size", batch_size, 1)
    check_integer("seed", seed, 0, WORD - 1)
    return np.full(batch_size, seed, np.uint64), np.arange(first, first + batch_size, dtype=np.uint64)


def check_device(device: str | torch.device) -> torch.device:
    """Return the device if this machine has it."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={str(device)!r} cannot be used here ({reason}): give 'cpu', or 'cuda' with a GPU."
        ) from None


class Distribution(ABC):
    """A distribution of problems, each with a hidden task.

    A subclass keeps every argument of its constructor in an attribute of the same name.

    Attributes:
        name: of the base dataset, the class of functions or the kind of problem.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off tasks and no draws of an episode.
        task_seed: seed of the numbered tasks.
        device: where episodes are made.
    """

    name: str
    n_tasks: int | None
    split: str
    task_seed: int
    device: torch.device

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments alone: episodes are functions of them."""
        return partial(type(self), **self._constructor_arguments()), ()

    def _constructor_arguments(self) -> dict[str, Any]:
        return self.arguments | {"device": str(self.device)}

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that define the distribution, as plain JSON values."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters if name != "device"}

    @property
    def env_id(self) -> str:
        """The id of the environment that shows these episodes."""
        return f"GPICL-{self.name}-v0"

    def unseen(self) -> Self:
        """Return the same with one-off tasks of the test split: what meta-training never shows."""
        return type(self)(**self._constructor_arguments() | {"n_tasks": None, "split": "test"})

    def _set_common(self, n_tasks: int | None, split: str, task_seed: int, device: str | torch.device) -> None:
        """Check and keep the arguments that most distributions have."""
        self.n_tasks = None if n_tasks is None else check_integer("n_tasks", n_tasks, 1, MAX_TASKS)
        self.split = check_choice("split", split, SPLITS)
        self.task_seed = check_integer("task_seed", task_seed, 0, WORD - 1)
        self.device = check_device(device)

    def _purpose(self, kind: int) -> int:
        """The purpose of a kind of stream, another in each split: nothing drawn in training returns in testing."""
        return kind * len(SPLITS) + SPLITS.index(self.split)

    def _episode_streams(self, seeds: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> Streams:
        """The streams of B episodes, each named by the seed of its stream and its number in that stream."""
        return Streams(seeds, numbers, self._purpose(EPISODE), self.device)

    def _task_streams(self, episode: Streams, ids: torch.Tensor | None) -> tuple[torch.Tensor, Streams]:
        """(B,) task ids, and the streams that these tasks are made from."""
        if self.n_tasks is None:
            if ids is not None:
                raise ValueError("task_ids need a finite n_tasks: one-off tasks have no ids.")
            ids = torch.full((len(episode),), ONE_OFF, dtype=torch.int64, device=self.device)
            return ids, Streams(episode.key, episode.number, self._purpose(ONE_OFF_TASK), self.device)
        if ids is None:
            ids = episode.below(self.n_tasks, 1, substream=TASK_ID)[:, 0]
        elif bool(((ids < 0) | (ids >= self.n_tasks)).any()):
            raise ValueError(f"task_ids must lie in 0 … {self.n_tasks - 1} (n_tasks={self.n_tasks}), given {ids}.")
        key = np.full(len(episode), self.task_seed, np.uint64)
        return ids, Streams(key, ids.cpu().numpy().astype(np.uint64), FIXED_TASK, self.device)
