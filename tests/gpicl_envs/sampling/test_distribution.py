"""What distributions of supervised and of RL problems share."""

import pickle

import pytest
import torch

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.sampling.distribution import check_device
from gpicl_envs.tasks.regression import FunctionDistribution

BOTH = Bandit(n_tasks=9, length=7, task_seed=3), FunctionDistribution(n_tasks=9, length=7, task_seed=3)


@pytest.mark.parametrize("made", BOTH)
def test_arguments_make_the_same_again(made):
    again = pickle.loads(pickle.dumps(made))
    assert again.arguments == made.arguments and repr(again) == repr(made)
    assert made.arguments["n_tasks"] == 9 and "device" not in made.arguments


@pytest.mark.parametrize("made", BOTH)
def test_what_training_never_shows(made):
    unseen = made.unseen()
    assert unseen.n_tasks is None and unseen.split == "test" and unseen.length == 7


def test_splits_share_no_words():
    train, test = (Bandit(split=split).sample(50).hidden["p"] for split in ("train", "test"))
    assert not (train[:, None] == test[None]).any()


def test_a_numbered_task_is_the_same_in_every_episode():
    problems = Bandit(n_tasks=3).sample(40)
    for number in range(3):
        p = problems.hidden["p"][problems.ids == number]
        assert len(p) > 1 and (p == p[0]).all()
    assert problems.ids.unique().tolist() == [0, 1, 2] and torch.equal(problems.ids, Bandit(n_tasks=3).sample(40).ids)


def test_task_ids_must_exist():
    for made, ids, message in ((Bandit(), [0], "need a finite n_tasks"), (Bandit(n_tasks=2), [2], r"0 … 1")):
        seeds = torch.zeros(1).numpy().astype("uint64")
        with pytest.raises(ValueError, match=message):
            made.problems(seeds, seeds, torch.tensor(ids))


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="cannot be used here"):
        check_device("cuda:77")
