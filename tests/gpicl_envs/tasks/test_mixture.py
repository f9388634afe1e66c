"""Mixtures: an episode is that of its component, and components come as often as their weights say."""

import json
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_data import small_classes
from small_tasks import make, make_vec

import gpicl_envs
from gpicl_envs import Dataset, TaskMixture, evaluate, make_learner
from gpicl_envs.tasks.mixture import MIXTURES

ENV_ID = "GPICL-GeneralMixture-v0"
PARTS = (
    {"weight": 1, "dataset": "Digits", "active_classes": (2, 5)},
    {"weight": 2.5, "prior": "SyntheticTables"},
    {"dataset": "Clusters", "n_tasks": 3, "permutation_bias": 0.5},
)


def mixture_of(**arguments) -> TaskMixture:
    return TaskMixture(**({"mixture": PARTS, "length": 8, "n_features": 64} | arguments))


@pytest.mark.parametrize("mixture", [PARTS, "GeneralMixture"], ids=["own", "general"])
def test_an_episode_is_that_of_its_component(mixture):
    tasks = mixture_of(mixture=mixture)
    episodes = tasks.sample(40, seed=3)
    assert len(episodes.tasks.component.unique()) == len(tasks.components)
    for b, component in enumerate(episodes.tasks.component.tolist()):
        own = tasks.components[component].sample(1, seed=3, first=b)
        assert torch.equal(episodes.y[b], own.y[0]) and torch.equal(episodes.index[b], own.index[0])
        assert torch.allclose(episodes.x[b], own.x[0], atol=1e-4)
        at = -1 if own.task_id == -1 else int(own.task_id) * len(tasks.components) + component
        assert episodes.groups[b] == at and episodes.task_id[b] == -1


@pytest.mark.parametrize("name", MIXTURES)
def test_components_come_with_their_weights(name: str):
    tasks = TaskMixture(name, length=2, n_features=8)
    component = tasks.sample(2000, seed=1).tasks.component.numpy()
    weights = np.array([part["weight"] for part in MIXTURES[name]])
    count = np.bincount(component, minlength=len(weights))
    assert chisquare(count, 2000 * weights / weights.sum()).pvalue > 1e-3


def test_episodes_do_not_depend_on_the_batch():
    tasks = mixture_of()
    together = tasks.sample(9, seed=2)
    for first in (0, 4, 8):
        alone = tasks.sample(1, seed=2, first=first)
        assert torch.equal(alone.y[0], together.y[first])
        assert torch.allclose(alone.x[0], together.x[first], atol=1e-4)
    out = torch.empty(9, 8, 64)
    assert tasks.episodes(np.full(9, 2, np.uint64), np.arange(9, dtype=np.uint64), out=out).x is out
    assert torch.equal(out, together.x)


def test_a_single_environment_is_the_row_of_its_seed():
    batch, single = make_vec(ENV_ID), make(ENV_ID)
    shown, _ = batch.reset(seed=4)
    alone, _ = single.reset(seed=6)
    for _ in range(6):
        assert np.allclose(alone["x"], shown["x"][2], atol=1e-4) and np.array_equal(alone["y"], shown["y"][2])
        shown, alone = batch.step(torch.zeros(3, dtype=torch.int64))[0], single.step(0)[0]


def test_unseen_has_one_off_tasks_of_the_test_split_without_bias():
    unseen = mixture_of().unseen()
    assert unseen.split == "test" and all(component.split == "test" for component in unseen.components)
    assert unseen.components[2].n_tasks is None and unseen.components[2].arguments["permutation_bias"] == 0
    assert unseen.components[0].arguments["active_classes"] == [2, 5]
    general = TaskMixture(length=8).unseen()
    assert general.arguments["mixture"] == "GeneralMixture" and general.env_id == ENV_ID


def test_arguments_and_pickles_make_the_same_mixture():
    tasks = mixture_of()
    expected = tasks.sample(5, seed=5)
    for again in (TaskMixture(**json.loads(json.dumps(tasks.arguments))), pickle.loads(pickle.dumps(tasks))):
        assert again.arguments == tasks.arguments and again.fingerprint == tasks.fingerprint
        assert torch.equal(again.sample(5, seed=5).x, expected.x)
    assert mixture_of(mixture=PARTS[1:2]).fingerprint is None
    assert mixture_of(mixture=PARTS[:1]).fingerprint != tasks.fingerprint


def test_a_mixture_of_a_dataset_that_has_no_name_travels():
    x, y = small_classes()
    own = Dataset("own", {"train": x.astype(np.float32)}, {"train": y}, 4)
    tasks = mixture_of(mixture=[{"dataset": own}], n_classes=4)
    assert tasks.arguments["mixture"] == [{"dataset": "own"}]
    again = pickle.loads(pickle.dumps(tasks))
    assert torch.equal(again.sample(2).x, tasks.sample(2).x)


def test_own_components_make_an_environment_and_records_that_name_it():
    env = gpicl_envs.InContextVectorEnv(2, mixture=PARTS, length=8, n_features=64)
    env.reset(seed=0)
    assert env.task.parameters["component"].shape == (2,)
    record = evaluate(make_learner("knn", n_features=64), mixture_of(split="test").unseen(), episodes=4).record()
    assert record.env == ENV_ID and record.env_kwargs["mixture"][0]["dataset"] == "Digits"


def test_a_picture_shows_what_the_component_shows():
    tasks = mixture_of()
    episodes = tasks.sample(12)
    shapes = {
        int(component): tasks.base_input(episodes, row, 3).shape
        for row, component in enumerate(episodes.tasks.component)
    }
    assert shapes == {0: (8, 8), 1: (64,), 2: tasks.components[2].dataset.shape}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mixture": "General"}, "Unknown mixture 'General'. Did you mean 'GeneralMixture'"),
        ({"mixture": []}, "has no components: give at least one"),
        ({"mixture": [{"dataset": "Digit"}]}, "Component 0 of the mixture.*Unknown dataset 'Digit'"),
        ({"mixture": [{"dataset": "Digits"}, {"function": "DecisionTree"}]}, "Component 1.*'n_classes'"),
        ({"mixture": [{"dataset": "Digits", "weight": 0}]}, "weight=0"),
        ({"mixture": [{"dataset": "Digits", "length": 5}]}, "length must be given to the mixture"),
        ({"mixture": [{"dataset": "Digits", "prior": "SyntheticTables"}]}, "name 2 kinds of tasks"),
        ({"mixture": [{"mixture": "GeneralMixture"}]}, "Component 0.*'mixture'"),
        ({"mixture": [3]}, "is no list of components"),
        ({"n_classes": 1}, "n_classes=1"),
        ({"n_classes": 40}, "Component 0.*n_classes=40"),
        ({"n_tasks": 4}, "TaskMixture got an unexpected keyword argument 'n_tasks'"),
    ],
    ids=str,
)
def test_bad_mixtures_say_what_is_wrong(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_vec(ENV_ID, **arguments)


@pytest.mark.parametrize("mixture", [{"dataset": "Digits"}, ["MNIST"], 3], ids=str)
def test_what_is_no_list_of_components_is_refused(mixture: object):
    with pytest.raises(ValueError, match="is no list of components: give mappings"):
        mixture_of(mixture=mixture)


def test_weights_have_a_finite_sum():
    with pytest.raises(ValueError, match="have no finite sum"):
        mixture_of(mixture=[{"weight": 1e308, "dataset": "Digits"}] * 2)


def test_numbered_tasks_of_components_are_told_apart():
    """So that intervals count tasks, and nothing seen in training passes for new."""
    mixture = mixture_of(split="test")
    episodes = mixture.sample(60)
    numbered = episodes.tasks.component == 2
    groups = episodes.groups
    assert (groups[~numbered] == -1).all() and set(groups[numbered].tolist()) == {2, 5, 8}
    record = evaluate(make_learner("knn", tasks=mixture), mixture, episodes=32).record()
    assert record.protocol == "seen-task" and record.task_id is not None
    with pytest.raises(ValueError, match="needs new tasks, but n_tasks=3"):
        evaluate(make_learner("knn", tasks=mixture), mixture, episodes=4, protocol="unseen-task")


def test_tasks_of_a_mixture_are_not_named_by_ids():
    zeros = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="its components have their own"):
        mixture_of().episodes(zeros, zeros, task_ids=torch.zeros(1, dtype=torch.int64))
