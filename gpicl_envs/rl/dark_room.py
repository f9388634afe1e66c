"""The dark room: a goal that cannot be seen."""

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.envs.arrays import Array, Lookup, filled, to_float
from gpicl_envs.errors import check_integer
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.sampling.substreams import GOAL

UP, DOWN, LEFT, RIGHT, STAY = range(5)


class DarkRoom(ProblemDistribution):
    """A square room with an invisible goal: 1 for each step that ends on it, else 0.

    The problem of Laskin et al. (2022), arXiv:2210.14215: 9 × 9 cells, episodes of 20 steps. The goal is uniform over
    all cells, the centre too.

    ### Observation space
    `x` is the one-hot row and the one-hot column of the agent: D = 2 · size.

    ### Action space
    0 is up, 1 down, 2 left, 3 right, 4 stay. A step into a wall leaves the agent where it is.

    ### Starting state
    Every episode starts in the centre.

    ### Rewards
    1 for each step that ends on the goal, also by staying there ("every time the goal is reached"; in the hard variant
    of the paper, once an episode), else 0.

    ### Randomness
    The goal alone is random.

    ### Known results
    A goal at distance d from the centre allows 20 + 1 − max(d, 1) an episode, 16.5 on average. A systematic search
    needs four episodes to have been everywhere; hence five by default, so that one is always left to exploit.

    Args:
        size: rows, and columns; odd, so that there is a centre.
        horizon: H, steps of an episode.
        n_episodes: K, episodes of a problem.
        n_tasks: number of tasks, with ids 0 … n − 1, regenerated on demand; `None` gives endless one-off tasks.
        split: `"train"` or `"test"`, which share no one-off tasks.
        task_seed: seed of the numbered tasks.
        device: where problems are made.

    Raises:
        ValueError: an argument is out of range.
    """

    name = "DarkRoom"
    n_actions, binary_rewards = 5, True

    def __init__(
        self,
        *,
        size: int = 9,
        horizon: int = 20,
        n_episodes: int = 5,
        n_tasks: int | None = None,
        split: str = "train",
        task_seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.size = check_integer("size", size, 3)
        if self.size % 2 == 0:
            raise ValueError(f"size={size} is not allowed: give an odd number, so that the room has a centre.")
        self.n_features, self.n_cells, self.centre = 2 * self.size, self.size**2, self.size**2 // 2
        self.horizon = self.episode_length = check_integer("horizon", horizon, 1)
        self.n_episodes = check_integer("n_episodes", n_episodes, 1)
        self._set_common(n_tasks, split, task_seed, device)
        row, column = np.divmod(np.arange(self.n_cells), self.size)
        one_hot = np.eye(self.size, dtype=np.float32)
        self.views = Lookup(np.hstack([one_hot[row], one_hot[column]]), self.device)
        self._moves = Lookup(self._all_moves(row[:, None], column[:, None]).ravel(), self.device)

    def draw_hidden(self, task: Streams) -> Tensors:
        """Return `goal` (B,) int64, its cell: size · row + column."""
        return {"goal": task.below(self.n_cells, 1, substream=GOAL)[:, 0]}

    def draw_noise(self, episode: Streams) -> Tensors:
        """Return nothing: there is no noise."""
        return {}

    def first_state(self, problems: Problems) -> Array:
        """Return (B,) the centre."""
        return filled(problems.rows, self.centre)

    def move(self, state: Array, action: Array) -> Array:
        """(B,) cells and (B,) actions → (B,) next cells."""
        return self._moves[state * self.n_actions + action]

    def _all_moves(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows and columns of the cells (n, 1) → (n, 5), the cell that each action leads to."""
        action = np.arange(self.n_actions)
        row = (row + (action == DOWN) - (action == UP)).clip(0, self.size - 1)
        return row * self.size + (column + (action == RIGHT) - (action == LEFT)).clip(0, self.size - 1)

    def distance(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the number of steps between cells, elementwise."""
        rows, columns = first // self.size - second // self.size, first % self.size - second % self.size
        return rows.abs() + columns.abs()

    def transition(self, problems: Problems, state: Array, action: Array, n: int | Array) -> tuple[Array, Array]:
        """Move by one cell, or stay; the goal pays 1."""
        moved = self.move(state, action)
        return moved, to_float(moved == problems.hidden["goal"])

    def best_return(self, problems: Problems) -> torch.Tensor:
        """Return (B,) the steps that are left on the goal after the shortest path to it."""
        way = self.distance(problems.hidden["goal"], self.first_state(problems))
        return (self.horizon + 1 - way.clamp(min=1)).clamp(min=0).float()

    def describe(self, problems: Problems, row: int, state: int) -> str:
        """Return the room as text: A is the agent, G the goal, X the agent on the goal."""
        cells = ["·"] * self.n_cells
        goal = int(problems.hidden["goal"][row])
        cells[goal], cells[state] = "G", "X" if state == goal else "A"
        return "\n".join(" ".join(cells[first : first + self.size]) for first in range(0, self.n_cells, self.size))
