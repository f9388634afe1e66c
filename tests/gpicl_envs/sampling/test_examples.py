"""Which examples are shown, against what is known beforehand."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_tasks import base_labels, tasks_of

from gpicl_envs.datasets import Dataset
from gpicl_envs.tasks.classification import TaskDistribution

# -- Class imbalance ---------------------------------------------------------------------------------------------------


def test_class_imbalance_is_the_ratio_of_the_most_and_the_least_frequent_class():
    tasks = TaskDistribution("MNIST", n_features=4, n_classes=5, class_imbalance=16.0, n_tasks=1, length=295)
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


# -- Active classes ----------------------------------------------------------------------------------------------------


def test_how_many_classes_a_task_uses_which_and_their_labels_are_uniform():
    tasks = tasks_of(active_classes=(2, 4), n_features=2, length=80)
    hidden = tasks.sample(3000).tasks
    count = hidden.active.sum(1)
    assert count.unique().tolist() == [2, 3, 4] and chisquare(count.bincount()[2:]).pvalue > 1e-4
    two = count == 2
    classes = hidden.classes[two][hidden.active[two]].view(-1, 2)
    labels = hidden.permutation[two, 0][hidden.active[two]].view(-1, 2)
    for pairs, kinds in ((classes[:, 0] * 10 + classes[:, 1], 45), (labels[:, 0] * 10 + labels[:, 1], 90)):
        found = pairs.bincount()
        assert (found > 0).sum() == kinds and chisquare(found[found > 0]).pvalue > 1e-4


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"label_noise": 0.5},
        {"n_tasks": 40},
        {"shots": 6},
        {"shots": 6, "label_noise": 0.5},
        {"class_imbalance": 5.0},
        {"examples_per_task": 70},
        {"drift_every": 25, "drift": "projection"},
        {"n_classes": 5},
        {"n_classes": 8, "permute_labels": False},
    ],
    ids=str,
)
def test_only_active_classes_and_their_labels_occur(arguments: dict):
    tasks = tasks_of(**{"active_classes": (2, 5), "length": 60} | arguments)
    episodes = tasks.sample(200)
    shown = base_labels(tasks, episodes)
    for b in range(200):
        active = episodes.tasks.active[b]
        assert set(shown[b].tolist()) <= set(episodes.tasks.classes[b, active].tolist())
        labels = set(episodes.tasks.permutation[b, 0, active].tolist())
        assert set(episodes.y[b].tolist()) == labels and len(labels) == active.sum()
        assert len(episodes.index[b].unique()) == 60


def test_a_task_keeps_its_classes_in_all_of_its_episodes():
    episodes = tasks_of(active_classes=(2, 4), n_tasks=3).sample(60)
    for task in range(3):
        sets = {frozenset(row.tolist()) for row in episodes.y[episodes.task_id == task]}
        assert len(sets) == 1
    alone = tasks_of(active_classes=(2, 4), n_tasks=3).sample(1, first=17)
    assert torch.equal(alone.y[0], episodes.y[17]) and torch.equal(alone.index[0], episodes.index[17])


def test_noise_and_queries_are_uniform_over_the_active_classes():
    tasks = tasks_of(active_classes=4, label_noise=0.3, shots=5, length=80)
    episodes = tasks.sample(300)
    number = (base_labels(tasks, episodes).unsqueeze(2) == episodes.tasks.classes.unsqueeze(1)).int().argmax(2)
    clean = episodes.tasks.permutation[:, 0].gather(1, number)
    support = [row.bincount(minlength=4).tolist() for row in number[:, :20]]
    assert support == [[5] * 4] * 300 and chisquare(number[:, 20:].flatten().bincount()).pvalue > 1e-4
    wrong = (episodes.y != clean).double()
    assert wrong.mean().item() == pytest.approx(0.3, abs=4 * (0.21 / wrong.numel()) ** 0.5)


def test_more_active_classes_than_labels_share_them_evenly():
    tasks = tasks_of(n_classes=5, active_classes=10, length=80)
    hidden = tasks.sample(500).tasks
    assert all(row.bincount().tolist() == [2] * 5 for row in hidden.permutation[:, 0])
    partners = hidden.permutation[:, 0, 1:] == hidden.permutation[:, 0, :1]
    assert (partners.sum(1) == 1).all() and chisquare(partners.sum(0)).pvalue > 1e-4
    fixed = tasks_of(n_classes=5, active_classes=10, permute_labels=False).sample(3)
    assert torch.equal(fixed.tasks.permutation, (torch.arange(10) % 5).expand(3, 1, -1))


def test_imbalance_is_that_of_the_active_classes():
    tasks = tasks_of(active_classes=(2, 3), class_imbalance=4.0, length=60, n_features=2)
    episodes = tasks.sample(2000)
    for count, odds in ((2, (4, 1)), (3, (4, 2, 1))):
        rows = episodes.y[episodes.tasks.active.sum(1) == count]
        rank = torch.stack([row.bincount(minlength=10).sort(descending=True).values[:count] for row in rows])
        expected = np.array(odds) / sum(odds)
        assert np.allclose(rank.double().mean(0) / 60, expected, atol=0.01)  # sorting by chance adds a little


def test_agents_of_ten_outputs_see_data_of_three_classes():
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    three = Dataset("three", {"train": x}, {"train": np.arange(60) % 3}, n_classes=3)
    episodes = TaskDistribution(three, n_classes=10, active_classes=3, length=30, n_features=8).sample(400)
    assert all(len(row.unique()) == 3 for row in episodes.y)
    assert chisquare(episodes.y[:, 0].bincount(minlength=10)).pvalue > 1e-4
    with pytest.raises(ValueError, match=r"n_classes=10 is not allowed: .* \(three has no more\)"):
        TaskDistribution(three, n_classes=10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (1, "active_classes=1 is not allowed: give a whole number from 2 to 10"),
        ((2, 11), r"active_classes=11 is not allowed: .* from 2 to 10 \(Digits has no more"),
        ((4, 3), r"active_classes=\(4, 3\) is not allowed: give one number, or \(low, high\)"),
        ((2, 3, 4), "give one number, or"),
        ("all", "active_classes='all' is not allowed"),
        ((2, "b"), "active_classes='b' is not allowed"),
        ({}, "active_classes={} is not allowed"),
        ((), "give one number, or"),
    ],
    ids=str,
)
def test_active_classes_must_be_there(given: object, message: str):
    with pytest.raises(ValueError, match=message):
        tasks_of(active_classes=given)


def test_a_task_of_few_classes_has_few_examples():
    with pytest.raises(ValueError, match=r"length=250 .* \(2 classes of the train split of Digits\)"):
        tasks_of(active_classes=(2, 10), length=250)


@pytest.mark.parametrize("burstiness", [20, 60, 90])
def test_the_examples_of_a_burst_are_distinct(burstiness: int):
    """The smallest class of Digits has 98 images in the train split: bursts of few, of many, and of nearly all."""
    index = tasks_of(burstiness=burstiness, length=2 * burstiness + 1).sample(20).index
    assert all(len(row.unique()) == len(row) for row in index)


def test_a_task_of_three_classes_may_show_all_their_examples():
    """`active_classes` counts: the limit is that of the fewest classes, not of the most."""
    assert len(tasks_of(active_classes=(3, 4), length=295).sample(2).index[0].unique()) == 295
    with pytest.raises(ValueError, match=r"length=296 .* \(3 classes of the train split of Digits\)"):
        tasks_of(active_classes=(3, 4), length=296)


def test_a_task_of_few_classes_has_few_examples_of_its_own():
    with pytest.raises(ValueError, match=r"from 20 to 196 \(.*; 2 classes of the train split of Digits\)"):
        tasks_of(active_classes=(2, 10), examples_per_task=250, length=20)


# -- Streams -----------------------------------------------------------------------------------------------------------


def timed(labels: np.ndarray) -> Dataset:
    """60 examples of three classes; the first input is the time."""
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    x[:, 0] = np.arange(60)
    return Dataset("Times", {"train": x}, {"train": labels}, 3)


def test_a_stream_shows_all_examples_in_the_order_of_the_data():
    data = timed(np.arange(60) // 20)
    plain = {"projection": "none", "permute_labels": False, "n_features": 5}
    episodes = TaskDistribution(data, order="stream", length=60, **plain).sample(3)
    assert torch.equal(episodes.index, torch.arange(60).expand(3, -1))
    assert torch.equal(episodes.y, (torch.arange(60) // 20).expand(3, -1))
    assert (episodes.x[:, :, 0].diff(dim=1) > 0).all()


def test_a_part_of_a_stream_begins_anywhere_and_is_not_interrupted():
    data = timed(np.arange(60) % 3)
    tasks = TaskDistribution(data, order="stream", length=51, n_features=8)
    index = tasks.sample(500).index
    assert (index.diff(dim=1) == 1).all()
    assert chisquare(index[:, 0].bincount(minlength=10)).pvalue > 1e-4 and index.max() == 59
    assert torch.equal(tasks.sample(1, first=7).index[0], index[7])


def test_a_stream_is_relabelled_and_projected_as_every_task():
    data = timed(np.arange(60) % 3)
    episodes = TaskDistribution(data, order="stream", length=60, n_features=8).sample(50)
    assert len({tuple(row.tolist()) for row in episodes.y[:, :3]}) == 6
    assert torch.equal(episodes.y[:, 3:], episodes.y[:, :-3]) and len(episodes.x[:, 0].unique(dim=0)) == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 61}, "length=61 is not allowed: give a whole number from 1 to 60"),
        ({"n_classes": 2}, r"every class of .* but n_classes=2: give n_classes=3"),
        ({"shots": 2, "length": 9}, "shots=2 cannot do"),
        ({"class_imbalance": 2.0}, "class_imbalance=2.0 cannot do"),
        ({"examples_per_task": 40}, "examples_per_task=40 cannot do"),
        ({"active_classes": 2}, "active_classes cannot do"),
        ({"classes": (0, 2), "n_classes": 2}, r"classes=\(0, 2\) cannot do"),
        ({"zipf": 1.0}, "zipf=1.0 cannot do"),
        ({"order": "sorted"}, "Unknown order 'sorted'"),
    ],
    ids=str,
)
def test_what_a_stream_excludes_is_an_error(arguments: dict, message: str):
    data = timed(np.arange(60) % 3)
    with pytest.raises(ValueError, match=message):
        TaskDistribution(data, **{"order": "stream", "length": 20, "n_features": 8} | arguments)
