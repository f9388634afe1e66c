"""Which examples are shown, against what is known beforehand."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, chisquare
from small_tasks import base_labels, tasks_of

from gpicl_envs.datasets import Dataset
from gpicl_envs.tasks.classification import TaskDistribution

# -- Class imbalance ---------------------------------------------------------------------------------------------------


def test_class_imbalance_is_the_ratio_of_the_most_and_the_least_frequent_class():
    tasks = TaskDistribution("MNIST", n_features=4, n_classes=5, class_imbalance=16.0, n_tasks=1, length=400)
    counts = tasks.sample(50).y.flatten().bincount().sort(descending=True).values
    odds = 16.0 ** (-np.arange(5) / 4)
    assert chisquare(counts, odds / odds.sum() * counts.sum().item()).pvalue > 1e-4


def test_each_task_ranks_its_classes_and_a_numbered_one_keeps_its_ranks():
    tasks = TaskDistribution("MNIST", n_features=4, class_imbalance=100.0, n_tasks=50, permute_labels=False)
    most = [int(row.bincount().argmax()) for row in tasks.sample(200).y]
    assert len(set(most)) == 10
    by_id: dict[int, set[int]] = {}
    for task_id, label in zip(tasks.sample(200).task_id.tolist(), most, strict=True):
        by_id.setdefault(task_id, set()).add(label)
    assert sum(len(labels) == 1 for labels in by_id.values()) > 25


@pytest.mark.parametrize("length", [20, 60])
def test_imbalanced_examples_are_distinct(length: int):
    tasks = tasks_of(class_imbalance=50.0, length=length)  # 60 wants a shuffle, 20 the redrawing of repeats
    assert all(len(row.unique()) == length for row in tasks.sample(50).index)


# -- Shots -------------------------------------------------------------------------------------------------------------


def test_a_task_with_examples_of_its_own_shows_no_others_in_another_order_each_time():
    tasks = tasks_of(n_tasks=3, examples_per_task=50, length=40)
    episodes = tasks.sample(300)
    for task in range(3):
        shown = episodes.index[episodes.task_id == task]
        assert len(shown) > 50 and len(shown.unique()) == 50
        assert all(len(row.unique()) == 40 for row in shown)  # none twice in an episode
        assert (shown[0] != shown[1]).any() and shown[:, 0].unique().numel() > 25  # another order each time
    sets = [set(episodes.index[episodes.task_id == task].flatten().tolist()) for task in range(3)]
    assert sets[0] != sets[1] != sets[2]
    again = tasks_of(n_tasks=3, examples_per_task=50, length=50).sample(1, seed=9)
    assert set(again.index[0].tolist()) == sets[int(again.task_id[0])]
    everywhere = tasks_of(examples_per_task=50, length=40).sample(2)  # one-off tasks: nothing is shown again
    assert (everywhere.index[0] != everywhere.index[1]).any()


@pytest.mark.parametrize("shots", [1, 5, 9])
def test_every_class_has_its_shots_before_the_query(shots: int):
    tasks = tasks_of(n_classes=4, shots=shots, length=4 * shots + 3)
    episodes = tasks.sample(60)
    support = episodes.y[:, : 4 * shots]
    assert all((row.bincount(minlength=4) == shots).all() for row in support)
    assert len({tuple(row.tolist()) for row in support.sort(1).values}) == 1
    assert not all(torch.equal(row, support[0]) for row in support)  # in random order
    assert all(len(row.unique()) == len(row) for row in episodes.index)
    assert chisquare(episodes.y[:, -1].bincount(minlength=4)).pvalue > 1e-4


def test_few_shot_episodes_end_with_one_query_by_default():
    assert TaskDistribution("Digits", n_classes=5, shots=1).length == 6 and TaskDistribution("Digits").length == 100


def test_examples_of_small_classes_are_drawn_uniformly():
    """15 examples a class, as in Omniglot: every one is as likely as the others, at every place."""
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    small = Dataset("small", {"train": x}, {"train": np.arange(60) % 4}, n_classes=4)
    episodes = TaskDistribution(small, n_classes=4, shots=10, length=41, n_features=4).sample(1000)
    counts = episodes.index.flatten().bincount(minlength=60)
    assert chisquare(counts).pvalue > 1e-4 and all(len(row.unique()) == 41 for row in episodes.index)


# -- Few classes of many, long episodes, many tasks --------------------------------------------------------------------


def test_classes_are_drawn_from_those_that_the_split_has():
    """As in Omniglot, whose test characters are not its training characters."""
    x = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    characters = Dataset(
        "characters",
        {"train": x, "test": x},
        {"train": np.arange(120) % 12, "test": 12 + np.arange(120) % 8},
        n_classes=20,
    )
    tasks = TaskDistribution(characters, split="test", n_classes=5, length=30, n_features=8)
    episodes = tasks.sample(200)
    assert episodes.tasks.classes.unique().tolist() == list(range(12, 20)) and episodes.y.max() == 4
    with pytest.raises(ValueError, match=r"n_classes=9 .* from 2 to 8 \(the test split of characters has no more\)"):
        TaskDistribution(characters, split="test", n_classes=9, length=30)
    assert TaskDistribution(characters, split="test", length=30).n_classes == 8  # by default, all that there are …
    assert TaskDistribution(characters, length=30).n_classes == 10  # … or ten
    y = {"train": np.arange(120) % 10, "test": np.arange(40) % 8}
    digits = Dataset("digits", {"train": x, "test": x[:40]}, y, n_classes=10)
    assert TaskDistribution(digits, split="test", length=30).n_classes == 10  # as on the train split, though two lack


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"n_classes": 4, "shots": 2, "length": 8},
            r"length=8 .* at least 9 \(K · shots = 8 examples come before a query",
        ),
        ({"shots": 2, "class_imbalance": 2.0}, "shots=2 fixes how often .* class_imbalance=2.0: leave one"),
        ({"shots": 30, "length": 450}, "length=450 with shots=30 may need 180 examples of one class, .* has 98"),
        ({"class_imbalance": 3.0, "length": 99}, "length=99 with class_imbalance=3.0 may need 99 .* has 98"),
        ({"length": 1001}, "length=1001 .* from 1 to 1000"),
        ({"length": 5, "examples_per_task": 4}, r"examples_per_task=4 .* from 5 to 1000 \(at least length"),
        (
            {"length": 5, "examples_per_task": 9, "class_imbalance": 2.0},
            "examples_per_task=9 fixes the examples of a task",
        ),
        ({"n_classes": 1}, "n_classes=1 .* from 2 to 10"),
    ],
    ids=str,
)
def test_what_the_examples_cannot_give_is_said_with_numbers(arguments: dict, message: str):
    """Digits has 1,000 training examples, 98 of its smallest class."""
    with pytest.raises(ValueError, match=message):
        tasks_of(**arguments)


def test_the_largest_lengths_that_the_examples_give_are_allowed():
    for arguments in ({"length": 9, "n_classes": 4, "shots": 2}, {"length": 98, "class_imbalance": 3.0}):
        assert tasks_of(**arguments).sample(1).y.shape == (1, arguments["length"])


def test_ten_thousand_examples_in_an_episode():
    episodes = TaskDistribution("MNIST", length=10_000, n_features=32).sample(1)
    assert (
        episodes.x.shape == (1, 10_000, 32) and episodes.x.isfinite().all() and len(episodes.index.unique()) == 10_000
    )


@pytest.mark.parametrize("length", [100, 797])
def test_examples_are_distinct_and_uniform(length: int):
    episodes = TaskDistribution("Digits", split="test", length=length, n_features=8).sample(400)
    assert all(len(row.unique()) == length for row in episodes.index)
    counts = episodes.index.flatten().bincount(minlength=797).double()
    expected = 400 * length / 797
    spread = max(expected * (1 - length / 797), 1e-9)
    assert ((counts - expected) ** 2 / spread).sum() < chi2.ppf(1 - 1e-4, 797)


def test_drawn_classes_are_all_of_the_dataset_in_turn():
    classes = TaskDistribution("Digits", n_classes=3, n_features=4, length=1).sample(500).tasks.classes
    assert all(len(row.unique()) == 3 for row in classes) and len(classes.unique()) == 10


@pytest.mark.parametrize("length", [5, 150])
def test_examples_of_few_classes_are_uniform_ones_of_these_classes(length: int):
    tasks = tasks_of(n_classes=3, length=length, permute_labels=False)
    episodes = tasks.sample(200)
    classes = episodes.tasks.classes.gather(1, episodes.y)
    assert torch.equal(base_labels(tasks, episodes), classes)
    assert all(len(row.unique()) == length for row in episodes.index)
    shown = episodes.index.flatten().bincount(minlength=1000)
    assert (shown > 0).sum() > 500 if length == 5 else (shown > 0).all()
