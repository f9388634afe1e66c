"""What all distributions of supervised learning problems have in common: episodes of examples, and drift."""

import inspect
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.sampling.distribution import Distribution, successive
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.torch_modes import in_plain_mode
from gpicl_envs.tasks.episodes import Episodes, Tasks

LENGTH = 100
RETURN = "return"  # a drift: tasks A, B, A, B, …


def check_drift_every(drift_every: int | None, length: int) -> int | None:
    """Return the number of examples between changes of the task, if an episode of this length shows a change."""
    if drift_every is None:
        return None
    if length == 1:
        raise ValueError(f"drift_every={drift_every!r} needs a length of at least 2: one example shows no change.")
    why = f"with length={length}, a later change would never be seen"
    return check_integer("drift_every", drift_every, 1, length - 1, why)


def check_drift(drift: str, valid: tuple[str, ...], drift_every: int | None, length: int) -> str:
    """Return what changes, if it is said when, and if a task that is to return does so within the episode."""
    check_choice("drift", drift, valid)
    if drift_every is None and drift != "task":
        raise ValueError(f"drift={drift!r} sets what changes, but not when: give drift_every too.")
    if drift == RETURN and drift_every is not None and length <= 2 * drift_every:
        raise ValueError(
            f"drift={RETURN!r} needs three segments, but length={length} with drift_every={drift_every} has "
            f"{-(-length // drift_every)}: give a length above {2 * drift_every}, or a smaller drift_every."
        )
    return drift


@dataclass(frozen=True)
class Task:
    """The hidden task of an episode at the current example (arrays gain a leading B in the vector environment).

    Args:
        task_id: the id among `n_tasks`, −1 for a one-off task.
        classes: (M,) the base class behind each class number; M = K unless `active_classes` are given; None for
            regression.
        permutation: (M,) ρ, the label of each class number; None for regression.
        projection: (D, N_x) A, with zero rows at distractors; None if inputs are drawn without it (one-off tasks
            unless `route="matrix"`) and for regression.
        parameters: the arrays of a regression task's function by name; None for classification.
        active: (M,) bool, the class numbers that the task uses; None for regression.
    """

    task_id: Any
    classes: Any = None
    permutation: Any = None
    projection: Any = None
    parameters: dict[str, Any] | None = None
    active: Any = None


class EpisodeDistribution(Distribution):
    """A distribution of supervised learning problems, revealed as episodes of N examples.

    A subclass keeps every argument of its constructor in an attribute of the same name, except the first, in `name`.

    Attributes:
        length: N, examples in an episode.
        n_features: D, features of x.
        n_classes: K; 1 for a real-valued target (regression).
        drift_every: the number of examples after which the task changes, or None.
        drift: what changes then; with `"return"`, every other segment is of the same task.
    """

    length: int
    n_features: int
    n_classes: int
    drift_every: int | None
    drift: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that define the distribution, as plain JSON values."""
        first, *others = inspect.signature(type(self)).parameters
        return {first: self.name} | {name: getattr(self, name) for name in others if name != "device"}

    @property
    def fingerprint(self) -> str | None:
        """The sha256 of the base dataset's arrays; None if there is no base dataset."""
        return None

    @property
    def is_regression(self) -> bool:
        """Whether the targets are real values, (B, N) float32, instead of labels."""
        return self.n_classes == 1

    @property
    def target_variance(self) -> float:
        """The variance of real-valued targets over all tasks, without the noise; 1 for labels, which have none."""
        return 1.0

    def sample(self, batch_size: int, seed: int = 0, first: int = 0) -> Episodes:
        """Return episodes number `first` … `first + batch_size − 1` of the stream `seed`."""
        return self.episodes(*successive(batch_size, seed, first))

    @in_plain_mode
    def episodes(
        self,
        seeds: NDArray[np.uint64],
        numbers: NDArray[np.uint64],
        task_ids: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> Episodes:
        """Return B episodes, each named by the seed of its stream and its number in that stream.

        Args:
            seeds: (B,) uint64.
            numbers: (B,) uint64.
            task_ids: (B,) int64 ids of the tasks to show, with a finite `n_tasks`; drawn uniformly by default.
            out: (B, N, D) float32 memory for the inputs; new by default, which is a third slower for large B.
        """
        episode = self._episode_streams(seeds, numbers)
        if out is None:
            out = torch.empty(len(seeds), self.length, self.n_features, dtype=torch.float32, device=self.device)
        return self._make_episodes(self._make_tasks(*self._task_streams(episode, task_ids)), episode, out)

    @abstractmethod
    def hidden(self, episodes: Episodes, position: NDArray[np.int64]) -> Task:
        """Return the B hidden tasks, each at its current example (B,)."""

    @abstractmethod
    def base_input(self, episodes: Episodes, row: int, position: int) -> NDArray[np.float32]:
        """Return the base input behind one input, in the dataset's shape, for pictures."""

    @abstractmethod
    def _make_tasks(self, ids: torch.Tensor, streams: Streams) -> Tasks: ...

    @abstractmethod
    def _make_episodes(self, tasks: Any, episode: Streams, out: torch.Tensor) -> Episodes: ...

    # -- Drift --------------------------------------------------------------------------------------------------------

    def segments(self, drifts: bool = True) -> tuple[slice, ...]:
        """Return the runs of examples between changes of the task; a single run without drift."""
        step = self.drift_every if self.drift_every and drifts else self.length
        return tuple(slice(start, min(start + step, self.length)) for start in range(0, self.length, step))

    def runs(self, drifts: bool = True) -> tuple[list[int], ...]:
        """Return the positions of each task of an episode: two tasks with `drift="return"`."""
        segments = [list(range(self.length)[segment]) for segment in self.segments(drifts)]
        return tuple(sum(segments[i::2], []) for i in (0, 1)) if self.drift == RETURN else tuple(segments)

    def segment_of(self, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the segment of each position; the last one after the end."""
        return np.minimum(position, self.length - 1) // (self.drift_every or self.length)

    def version(self, segment: Any) -> Any:
        """Return the number of the task that a segment (or each of an array) is of, among those of the episode."""
        return segment % 2 if self.drift == RETURN else segment
