"""Players of the dark room."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from gpicl_envs.rl.dark_room import DOWN, LEFT, RIGHT, STAY, UP, DarkRoom
from gpicl_envs.rl.players.base import KnowingPlayer, Player
from gpicl_envs.rl.problems import ProblemDistribution, Problems, Tensors

UNKNOWN = -1


def position(made: DarkRoom, observation: Tensors) -> torch.Tensor:
    """Return (B,) the cells in which the agents are."""
    row, column = observation["x"].view(-1, 2, made.size).argmax(2).unbind(1)
    return row * made.size + column


def step_towards(made: DarkRoom, cell: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return (B,) the actions that lead from cells to other cells: first along the column, then along the row."""
    down, right = target // made.size - cell // made.size, target % made.size - cell % made.size
    sideways = torch.where(right > 0, RIGHT, torch.where(right < 0, LEFT, STAY))
    return torch.where(down > 0, DOWN, torch.where(down < 0, UP, sideways))


def tour(made: DarkRoom) -> torch.Tensor:
    """Return all cells that can be reached in an episode, in the order in which a search visits them.

    Around the centre lie four blocks of (n + 1)/2 × (n − 1)/2 cells, like the wings of a windmill. Each is swept from
    the cell next to the centre, to and fro, without a detour: 20 steps if n is 9. The centre is last.
    """
    half = made.size // 2
    wing = [(-1 - i, j if i % 2 == 0 else half - j) for i in range(half) for j in range(half + 1)]
    cells = []
    for _ in range(4):
        cells += wing
        wing = [(column, -row) for row, column in wing]  # a quarter of a turn
    cells.append((0, 0))
    places = [made.centre + made.size * row + column for row, column in cells if abs(row) + abs(column) <= made.horizon]
    return torch.tensor(places, device="cpu").to(made.device)


@dataclass(frozen=True)
class SearchState:
    """What B searching players remember.

    Args:
        made: the problems.
        order: (C,) the cells in the order of the search.
        open: (B, C) bool, those that have not been visited.
        goal: (B,) int64 cells, −1 while unknown.
        arrived: (B,) int64, the cells to which the last actions have led.
    """

    made: DarkRoom
    order: torch.Tensor
    open: torch.Tensor
    goal: torch.Tensor
    arrived: torch.Tensor


class SystematicSearch(Player):
    """Visits one cell after the other until it has found the goal, then goes there and stays.

    In a room of n × n cells with episodes of (n² − 1)/4 steps or more it knows the goal after four episodes at most.
    """

    name = "search"
    problems = (DarkRoom.name,)

    def start(self, made: ProblemDistribution, batch_size: int, generator: torch.Generator) -> SearchState:
        """Return states in which nothing has been visited."""
        self.check_can_play(made)
        assert isinstance(made, DarkRoom)
        order = tour(made)
        unknown = torch.full((batch_size,), UNKNOWN, device=made.device)
        return SearchState(made, order, unknown[:, None] != order, unknown, unknown)

    def act(self, state: SearchState, observation: Tensors) -> tuple[torch.Tensor, SearchState]:
        """Go on to the goal if it is known, else to the first cell in the tour that has not been visited."""
        made, cell = state.made, position(state.made, observation)
        goal = torch.where(observation["reward"][:, 0] > 0, state.arrived, state.goal)
        to_visit = state.open & (state.order != state.arrived[:, None])
        target = torch.where(goal == UNKNOWN, state.order[to_visit.int().argmax(1)], goal)
        action = step_towards(made, cell, target)
        return action, replace(state, open=to_visit, goal=goal, arrived=made.move(cell, action))


class ShortestPath(KnowingPlayer):
    """Goes to the goal by the shortest path, and stays there."""

    name = "best"
    problems = (DarkRoom.name,)

    def start_knowing(self, made: ProblemDistribution, problems: Problems, generator: torch.Generator) -> Any:
        """Return the distribution and the goals (B,)."""
        self.check_can_play(made)
        return made, problems.hidden["goal"]

    def act(self, state: Any, observation: Tensors) -> tuple[torch.Tensor, Any]:
        """Go one step on."""
        made, goal = state
        return step_towards(made, position(made, observation), goal), state
