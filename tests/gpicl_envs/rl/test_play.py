"""Problems under way: the same bits in either library, in batches and alone, wherever the problems are."""

import numpy as np
import pytest
import torch

from gpicl_envs.rl.kinds import PROBLEMS
from gpicl_envs.rl.play import Play

MADE = [made() for made in PROBLEMS.values()]


def of_libraries(made, n: int) -> list[Play]:
    """The same problems at their first step, as tensors and as arrays."""
    plays = [Play(made), Play(made)]
    problems = made.sample(n, seed=4)
    for play, given in zip(plays, (problems, problems.numpy()), strict=True):
        play.begin(given)
    return plays


def shown(play: Play, reward, n) -> list[np.ndarray]:
    return [np.asarray(value) for value in (reward, play.state, *play.observe(n).values())]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_both_libraries_have_the_same_bits(made):
    tensors, arrays = of_libraries(made, 7)
    actions = np.random.default_rng(0).integers(0, made.n_actions, (made.length, 7))
    for n, action in enumerate(actions):
        one = shown(tensors, tensors.act(torch.from_numpy(action), n), n + 1)
        other = shown(arrays, arrays.act(action, n), n + 1)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_steps_given_one_by_one_are_those_of_all(made):
    """Also where only some act: the others earn nothing."""
    for common, single in (of_libraries(made, 3), of_libraries(made, 3)[::-1]):
        for n in range(made.length):
            action = np.array([n, n + 1, n + 2]) % made.n_actions
            together = common.act(in_library(common, action), n)
            alone = single.act(in_library(single, action), in_library(single, np.full(3, n)))
            assert np.array_equal(together, alone)
            places = in_library(single, np.full(3, n + 1))
            for mine, theirs in zip(shown(common, together, n + 1), shown(single, alone, places), strict=True):
                assert np.array_equal(mine, theirs)


def test_those_that_do_not_act_earn_nothing_and_begin_alone():
    made = PROBLEMS["TabularMDP"]()
    for play in of_libraries(made, 2):
        n, active = in_library(play, np.array([5, 5])), in_library(play, np.array([True, False]))
        reward = play.act(in_library(play, np.array([1, 1])), n, active)
        assert reward[0] != 0 and reward[1] == 0
        before = {name: np.array(value) for name, value in play.observe(6).items()}
        play.begin(play.problems, ~active)
        after = play.observe(in_library(play, np.array([6, 0])))
        assert all(np.array_equal(after[name][0], before[name][0]) for name in before)
        assert after["action"][1].sum() == after["reward"][1] == play.state[1] == 0 and after["start"][1] == 1


def test_what_is_shown_and_what_was_given_may_be_written_to():
    for play in of_libraries(PROBLEMS["Bandit"](), 2):
        action = in_library(play, np.array([3, 4]))
        reward = play.act(action, 0)
        expected = [np.array(value) for value in play.observe(1).values()]
        reward += 7
        action[:] = 0
        for value in play.observe(1).values():
            value += 7
        assert all(np.array_equal(a, b) for a, b in zip(play.observe(1).values(), expected, strict=True))


def in_library(play: Play, values: np.ndarray):
    return torch.from_numpy(values) if isinstance(play.state, torch.Tensor) else values
