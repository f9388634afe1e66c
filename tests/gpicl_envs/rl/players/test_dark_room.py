"""Players of the dark room: known answers."""

import pytest
import torch
from playing import returns

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.dark_room import DarkRoom
from gpicl_envs.rl.players.dark_room import ShortestPath, SystematicSearch, tour


def test_the_shortest_path_earns_the_best_return_exactly():
    made = DarkRoom(n_episodes=2)
    best = torch.cat([made.best_return(made.sample(1, seed=i)) for i in range(200)])
    assert torch.equal(returns(ShortestPath(), made, 200), best[:, None].expand(200, 2))


def test_the_tour_is_of_all_cells_and_has_no_detours():
    made = DarkRoom()
    order = tour(made)
    assert sorted(order.tolist()) == list(range(81)) and order[-1] == made.centre
    for first in range(0, 80, 20):
        way = torch.cat([torch.tensor([made.centre]), order[first : first + 20]])
        assert (made.distance(way[1:], way[:-1]) == 1).all()


@pytest.mark.parametrize("arguments", [{}, {"size": 5, "horizon": 6}, {"size": 5, "horizon": 7, "n_episodes": 8}])
def test_the_search_finds_every_goal_and_then_goes_straight_to_it(arguments: dict):
    """All goals occur among 800 problems; after four episodes of (n² − 1)/4 steps the best is all that is left."""
    made = DarkRoom(**arguments)
    problems = [made.sample(1, seed=i) for i in range(800)]
    assert len({int(problem.hidden["goal"]) for problem in problems}) == made.n_cells
    earned, best = returns(SystematicSearch(), made, 800), torch.cat([made.best_return(p) for p in problems])
    assert torch.equal(earned[:, 4:], best[:, None].expand_as(earned)[:, 4:])
    found = earned > 0
    assert torch.equal(found.int().cummax(1).values, found.int())  # once found, never lost
    assert torch.equal(earned[:, 1:][found[:, :-1]], best[:, None].expand_as(earned)[:, 1:][found[:, :-1]])


def test_short_episodes_do_not_stop_the_search_at_a_cell_out_of_reach():
    made = DarkRoom(horizon=3, n_episodes=30)
    problems = [made.sample(1, seed=i) for i in range(300)]
    best = torch.cat([made.best_return(p) for p in problems])
    assert torch.equal(returns(SystematicSearch(), made, 300)[:, -1], best) and 0 < (best > 0).float().mean() < 1


def test_another_problem_is_refused():
    with pytest.raises(ValueError, match="search plays DarkRoom, not Bandit"):
        SystematicSearch().start(Bandit(), 2, torch.Generator())
