"""`ProblemDistribution`: what all in-context RL problems have in common.

A problem is K episodes of H steps in one hidden environment, so N = K · H steps. An agent that remembers across
episodes can explore in the first ones and exploit in the last (Duan et al. 2016, arXiv:1611.02779).

Letters: B problems in a batch, N steps, K episodes, H steps of an episode, D features of x, A actions.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.envs.arrays import Array, Lookup, filled
from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.distribution import Distribution, successive
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.torch_modes import in_plain_mode

Tensors = dict[str, torch.Tensor]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Problems:
    """B hidden problems, with all the noise that will occur in them, the same whoever plays.

    Args:
        ids: (B,) int64 task ids, −1 for one-off tasks.
        hidden: the facts of each problem by name, each (B, …).
        noise: the random numbers of each step by name, each (B, N).
    """

    ids: Array
    hidden: Arrays
    noise: Arrays

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> Array:
        """(B,) int64: 0 … B − 1."""
        if isinstance(self.ids, torch.Tensor):
            return torch.arange(len(self), device=self.ids.device)
        return np.arange(len(self))

    def noise_at(self, name: str, n: int | Array) -> Array:
        """The step of all, or (B,) steps → (B,) the random numbers of that name at these steps."""
        steps = self.noise[name].T
        return steps[n] if isinstance(n, int) else steps.take(n * len(self) + self.rows)

    def replace(self, rows: NDArray[np.int64], new: "Problems") -> None:
        """Put the problems of `new`, tensors as here, into the given rows."""
        place = torch.from_numpy(rows).to(self.ids.device)
        self.ids[place] = new.ids
        for own, other in ((self.hidden, new.hidden), (self.noise, new.noise)):
            for name, value in own.items():
                value[place] = other[name]

    def numpy(self) -> "Problems":
        """Return the same as NumPy's arrays, which share the memory of tensors on the CPU."""
        hidden, noise = (
            {name: value.cpu().numpy() for name, value in group.items()} for group in (self.hidden, self.noise)
        )
        return Problems(self.ids.cpu().numpy(), hidden, noise)


class ProblemDistribution(Distribution):
    """A distribution of in-context RL problems with finitely many states, stepped in batches.

    A subclass has a constructor of keyword arguments, kept in attributes of the same names, and calls `_set_common`.
    Its rules, `first_state`, `observe` and `transition`, are for tensors and NumPy's arrays alike.

    Attributes:
        views: (S, D) float32, what the agent sees of each state.
        n_features: D.
        n_actions: A, at least 2.
        n_episodes: K.
        episode_length: H.
        binary_rewards: whether every reward is 0 or 1, which bounds the intervals of an evaluation.
    """

    binary_rewards: ClassVar[bool] = False
    views: Lookup
    n_features: int
    n_actions: int
    n_episodes: int
    episode_length: int

    @property
    def length(self) -> int:
        """N, the steps of a problem."""
        return self.n_episodes * self.episode_length

    def sample(self, batch_size: int, seed: int = 0, first: int = 0) -> Problems:
        """Return problems number `first` … `first + batch_size − 1` of the stream `seed`."""
        return self.problems(*successive(batch_size, seed, first))

    @in_plain_mode
    def problems(
        self, seeds: NDArray[np.uint64], numbers: NDArray[np.uint64], task_ids: torch.Tensor | None = None
    ) -> Problems:
        """Return B problems, each named by the seed of its stream and its number in that stream.

        Args:
            seeds: (B,) uint64.
            numbers: (B,) uint64.
            task_ids: (B,) int64 ids of the tasks, with a finite `n_tasks`; drawn uniformly by default.
        """
        episode = self._episode_streams(seeds, numbers)
        ids, task = self._task_streams(episode, task_ids)
        noise = {name: value.T.contiguous().T for name, value in self.draw_noise(episode).items()}
        return Problems(ids, self.draw_hidden(task), noise)  # in which the noise of one step lies together

    # -- What a subclass provides -------------------------------------------------------------------------------------

    @abstractmethod
    def draw_hidden(self, task: Streams) -> Tensors:
        """Return the hidden facts of B tasks, each (B, …)."""

    @abstractmethod
    def draw_noise(self, episode: Streams) -> Tensors:
        """Return the random numbers of all steps, each (B, N)."""

    def first_state(self, problems: Problems) -> Array:
        """Return (B,) int64, the state in which every episode begins; 0 by default."""
        return filled(problems.rows, 0)

    def observe(self, state: Array) -> Array:
        """(B,) states → (B, D) float32, what the agent sees of them."""
        return self.views[state]

    @abstractmethod
    def transition(self, problems: Problems, state: Array, action: Array, n: int | Array) -> tuple[Array, Array]:
        """Take an action in each problem.

        Args:
            problems: B problems.
            state: (B,) int64.
            action: (B,) int64, from 0 to A − 1.
            n: the steps taken so far in the problem, if they are as many in all; else (B,) int64.

        Returns:
            (B,) int64 next states and (B,) float32 rewards.
        """

    @abstractmethod
    def best_return(self, problems: Problems) -> torch.Tensor:
        """Return (B,) float32, the expected return of an episode under the best policy for the hidden environment."""

    def describe(self, problems: Problems, row: int, state: int) -> str:
        """Return one problem and the agent's place in it as text, for people."""
        facts = {name: value[row].tolist() for name, value in problems.hidden.items()}
        return f"{self.name}, state {state}: {facts}"


def check_actions(name: str, given: Any) -> int:
    """Return the number of actions, at least 2."""
    return check_integer(name, given, 2, why="with one action there is nothing to learn")
