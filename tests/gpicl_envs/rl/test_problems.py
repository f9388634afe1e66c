"""What all problems have in common."""

import numpy as np
import pytest
import torch

from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.kinds import PROBLEMS, make_problems

MADE = [made() for made in PROBLEMS.values()]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_a_problem_is_a_function_of_its_seed_and_number(made):
    together, alone = made.sample(5, seed=3, first=2), made.sample(1, seed=3, first=4)
    for name, value in together.hidden.items() | together.noise.items():
        assert torch.equal(value[2:3], (alone.hidden | alone.noise)[name]) and len(value) == 5
    assert all(value.shape == (5, made.length) for value in together.noise.values())


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_rows_can_be_replaced(made):
    problems, new = made.sample(4, seed=0), made.sample(2, seed=9)
    kept = {name: value[[0, 2]].clone() for name, value in (problems.hidden | problems.noise).items()}
    problems.replace(np.array([1, 3]), new)
    for name, value in (problems.hidden | problems.noise).items():
        assert torch.equal(value[[1, 3]], (new.hidden | new.noise)[name]) and torch.equal(value[[0, 2]], kept[name])


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_the_noise_is_shared_by_numbered_and_one_off_tasks_but_not_by_splits(made):
    numbered, test = (type(made)(**made.arguments | change) for change in ({"n_tasks": 5}, {"split": "test"}))
    for name, value in made.sample(3).noise.items():
        assert torch.equal(numbered.sample(3).noise[name], value) and not torch.equal(test.sample(3).noise[name], value)


def test_every_kind_has_an_id():
    assert [environment.arguments["problem"] for environment in rl_environments().values()] == list(PROBLEMS)
    assert all(make_problems(name).env_id in rl_environments() for name in PROBLEMS)
