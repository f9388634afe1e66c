"""The dark room: known answers."""

import pytest
import torch

from gpicl_envs.rl.dark_room import DOWN, LEFT, RIGHT, STAY, UP, DarkRoom


def test_the_agent_moves_and_walls_stop_it():
    made = DarkRoom(size=3)
    cells = torch.arange(9)
    expected = {
        UP: [0, 1, 2, 0, 1, 2, 3, 4, 5],
        DOWN: [3, 4, 5, 6, 7, 8, 6, 7, 8],
        LEFT: [0, 0, 1, 3, 3, 4, 6, 6, 7],
        RIGHT: [1, 2, 2, 4, 5, 5, 7, 8, 8],
        STAY: list(range(9)),
    }
    for action, moved in expected.items():
        assert made.move(cells, torch.full((9,), action)).tolist() == moved


def test_the_goal_is_uniform_and_pays_in_each_step_that_ends_on_it():
    made = DarkRoom()
    problems = made.sample(8100)
    goal = problems.hidden["goal"]
    counts = goal.bincount(minlength=81)
    assert len(counts) == 81 and ((counts - 100.0).abs() < 45).all()
    n, stay = torch.zeros_like(goal), torch.full_like(goal, STAY)
    assert made.transition(problems, goal, stay, n)[1].eq(1).all()
    assert made.transition(problems, (goal + 1) % 81, stay, n)[1].eq(0).all()


def test_the_best_return_is_the_time_that_is_left_on_the_goal():
    made = DarkRoom()
    problems = made.sample(81)
    problems.hidden["goal"][:] = torch.arange(81)
    best = made.best_return(problems)
    assert best[40] == best[39] == 20 and best[0] == best[80] == 13
    assert best.mean().item() == pytest.approx(21 - 361 / 81)
    assert DarkRoom(horizon=5).best_return(problems)[0] == 0


def test_the_agent_sees_its_row_and_its_column():
    seen = DarkRoom(size=5).observe(torch.tensor([12, 9]))
    assert seen.tolist() == [[0, 0, 1, 0, 0] * 2, [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_the_room_is_drawn():
    made = DarkRoom(size=3)
    problems = made.sample(1)
    problems.hidden["goal"][0] = 2
    assert made.describe(problems, 0, 4) == "· · G\n· A ·\n· · ·"
    assert made.describe(problems, 0, 2).splitlines()[0] == "· · X"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 8}, "size=8.*odd"), ({"size": 1}, "size=1"), ({"horizon": 0}, "horizon=0"), ({"n_episodes": 0}, "n_e")],
)
def test_bad_arguments_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        DarkRoom(**arguments)
