"""Bursty and Zipfian sequences of classes, against their exact frequencies."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_tasks import base_labels, tasks_of

ZIPF = 1.0 / np.arange(1, 11)  # odds of ten classes with zipf=1


def classes_of(episodes: int = 4000, **arguments) -> torch.Tensor:
    """(B, N) base classes of the examples."""
    tasks = tasks_of(**{"n_features": 2, "permute_labels": False} | arguments)
    shown = tasks.sample(episodes)
    assert torch.equal(shown.y, base_labels(tasks, shown) % tasks.n_classes)
    assert all(len(row.unique()) == tasks.length for row in shown.index)
    return base_labels(tasks, shown)


def assert_frequencies(found: torch.Tensor, expected) -> None:
    counts = found.flatten().bincount(minlength=len(expected)).numpy()
    expected = np.asarray(expected) / np.sum(expected)
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    assert chisquare(counts[kept], expected[kept] * counts.sum()).pvalue > 1e-4


def test_every_class_of_a_bursty_context_occurs_burstiness_times_and_the_query_is_one_of_them():
    shown = classes_of(length=13, burstiness=4)
    context, query = shown[:, :-1], shown[:, -1:]
    counts = torch.stack([row.bincount(minlength=10) for row in context])
    assert ((counts == 4) | (counts == 0)).all() and (counts.gather(1, query) == 4).all()
    assert_frequencies(counts.gt(0).nonzero()[:, 1], np.ones(10))  # each class as often as another
    assert_frequencies(query, np.ones(10))
    number = (counts.gt(0).cumsum(1) - 1).gather(1, query)
    assert_frequencies(number, np.ones(3))
    assert_frequencies(context[:, 0], np.ones(10))  # in random order
    same = (context[:, 0] == context[:, 1]).double().mean().item()
    assert same == pytest.approx(3 / 11, abs=4 * (3 / 11 * 8 / 11 / 4000) ** 0.5)


def test_a_fraction_of_the_episodes_is_bursty_and_the_others_are_independent():
    shown = classes_of(length=9, burstiness=4, p_bursty=0.3, episodes=6000)
    counts = torch.stack([row.bincount(minlength=10).sort(descending=True).values for row in shown[:, :-1]])
    two_by_four = (counts[:, :2] == 4).all(1).double().mean().item()
    by_chance = 45 * 70 / 10**8  # pairs of classes times the orders of four of each
    assert two_by_four == pytest.approx(0.3 + 0.7 * by_chance, abs=4 * (0.21 / 6000) ** 0.5)
    others = shown[~(counts[:, :2] == 4).all(1)]
    assert_frequencies(others[:, -1], np.ones(10))


def test_zipfian_classes_have_their_odds_at_every_position_in_the_same_order_for_every_task():
    for tasks in ({}, {"n_tasks": 5}):
        shown = classes_of(length=6, zipf=1.0, **tasks)
        for position in (0, 3, 5):
            assert_frequencies(shown[:, position], ZIPF)
    pairs = shown[:, 0] * 10 + shown[:, 5]
    assert_frequencies(pairs, np.outer(ZIPF, ZIPF).ravel())  # independent


def test_zipfian_classes_of_bursty_episodes_are_drawn_one_after_the_other_without_replacement():
    shown = classes_of(length=5, burstiness=2, zipf=1.5, n_classes=4, classes=(0, 4))
    odds = np.arange(1, 5) ** -1.5
    expected = np.zeros(16)
    for first, second in permutations(range(4), 2):
        chance = odds[first] / odds.sum() * odds[second] / (odds.sum() - odds[first])
        expected[4 * min(first, second) + max(first, second)] += chance
    ends = shown[:, :-1].amin(1) * 4 + shown[:, :-1].amax(1)
    assert_frequencies(ends, expected)


def test_a_query_in_the_context_is_of_the_class_of_a_uniform_example():
    shown = classes_of(length=5, query="in-context", zipf=1.0)
    context, query = shown[:, :-1], shown[:, -1:]
    assert (context == query).any(1).all()
    assert_frequencies(query, ZIPF)  # each example is of a Zipfian class, so one of them is
    distinct = context[(context.sort(1).values.diff(dim=1) > 0).all(1)]
    place = (distinct == query[(context.sort(1).values.diff(dim=1) > 0).all(1)]).int().argmax(1)
    assert_frequencies(place, np.ones(4))


def test_a_query_not_in_the_context_is_drawn_from_the_other_classes():
    shown = classes_of(length=3, query="not-in-context", zipf=1.0, n_classes=4, classes=(0, 4), episodes=8000)
    context, query = shown[:, :-1], shown[:, -1]
    assert not (context == query[:, None]).any()
    odds = 1.0 / np.arange(1, 5)
    chance = np.zeros((4, 4, 4))
    for a, b in np.ndindex(4, 4):
        rest = odds * ~np.isin(np.arange(4), (a, b))
        chance[a, b] = odds[a] * odds[b] * rest / rest.sum()
    assert_frequencies(context[:, 0] * 16 + context[:, 1] * 4 + query, chance.ravel())
    bursty = classes_of(length=9, burstiness=4, query="not-in-context")
    assert not (bursty[:, :-1] == bursty[:, -1:]).any()
    assert_frequencies(bursty[:, -1], np.ones(10))


def test_active_classes_alone_are_in_bursts_and_queries():
    tasks = tasks_of(active_classes=(4, 7), burstiness=2, p_bursty=0.5, zipf=0.5, length=9, query="in-context")
    shown = tasks.sample(300)
    number = (base_labels(tasks, shown).unsqueeze(2) == shown.tasks.classes.unsqueeze(1)).int().argmax(2)
    assert shown.tasks.active.gather(1, number).all() and shown.tasks.active.sum(1).unique().tolist() == [4, 5, 6, 7]


def test_sequences_do_not_depend_on_the_batch():
    tasks = tasks_of(burstiness=3, p_bursty=0.5, zipf=1.0, length=13, n_tasks=6)
    together, alone = tasks.sample(8, seed=4), tasks.sample(1, seed=4, first=5)
    assert torch.equal(together.index[5], alone.index[0]) and torch.equal(together.y[5], alone.y[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"burstiness": 0, "length": 9}, "burstiness=0 is not allowed: give a whole number of at least 1"),
        ({"burstiness": 3, "length": 9}, "burstiness=3 .* length=9: the 8 examples before the last must be a multiple"),
        ({"burstiness": 1, "length": 13}, "burstiness=1 with length=13 shows 12 classes .*, but a task has 10: give"),
        ({"burstiness": 9, "length": 9}, "the 8 examples before the last must be a multiple"),
        ({"burstiness": 100, "length": 101}, "may need 101 examples of one class"),
        ({"p_bursty": 0.5}, "p_bursty=0.5 has no effect without burstiness"),
        ({"burstiness": 4, "p_bursty": 1.5, "length": 9}, "p_bursty=1.5 is not allowed: give a number from 0 to 1"),
        ({"zipf": -1.0}, "zipf=-1.0 is not allowed: give a finite number of at least 0"),
        ({"zipf": float("nan")}, "zipf=nan is not allowed"),
        ({"query": "new"}, "Unknown query 'new'.*in-context"),
        ({"query": "not-in-context", "length": 11}, "up to 10 before the last example, but a task has 10 classes"),
        ({"query": "in-context", "length": 1}, "length=1 is not allowed with query='in-context'"),
        ({"zipf": 1.0, "shots": 2}, "shots=2 fixes how often .* so does zipf=1.0: leave one"),
        ({"zipf": 1.0, "class_imbalance": 2.0}, "class_imbalance=2.0 fixes how often .* zipf=1.0"),
        ({"zipf": 1.0, "examples_per_task": 50}, "examples_per_task=50 .* zipf=1.0 cannot do too"),
        ({"classes": (3, 4)}, "classes=4 is not allowed: give a whole number from 5 to 10"),
        ({"classes": (9, 11)}, "classes=9 is not allowed: .* from 0 to 8"),
        ({"classes": 5}, r"classes=5 is not allowed: give \(first, stop\)"),
        ({"classes": (0, 4), "n_classes": 5}, "n_classes=5 .* from 2 to 4 .*classes 0 … 3, has no more"),
        ({"classes": (0, 4), "active_classes": 5}, "active_classes=5 .* from 2 to 4"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        tasks_of(**arguments)


def test_many_classes_of_a_fixed_map_to_few_labels_keep_it_over_tasks():
    """As in Reddy 2024: each class has one label in all of meta-training, so that weights can learn it."""
    sizes = {"dataset": "Clusters", "n_clusters": 128, "active_classes": 128, "n_classes": 8, "n_features": 4}
    fixed = tasks_of(**sizes, permute_labels=False, burstiness=4, length=9, zipf=0.5)
    shown = fixed.sample(200)
    assert torch.equal(shown.y, base_labels(fixed, shown) % 8) and base_labels(fixed, shown).unique().numel() > 100
    permuted = tasks_of(**sizes, burstiness=4, length=9).sample(400)
    label = permuted.tasks.permutation[:, 0, 0]
    assert chisquare(label.bincount(minlength=8)).pvalue > 1e-4
    assert all((row.bincount() == 16).all() for row in permuted.tasks.permutation[:, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_clusters": 20}, "n_clusters=20 .* Clusters, not Digits: leave them out"),
        ({"within_class_noise": 0.5}, "within_class_noise=0.5 .* not Digits"),
        ({"dataset": "Clusters", "n_clusters": 1}, "n_clusters=1 is not allowed: give a whole number from 2 to 2048"),
        ({"dataset": "Clusters", "within_class_noise": 0}, "within_class_noise=0 is not allowed"),
    ],
    ids=str,
)
def test_clusters_have_bounds(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        tasks_of(**arguments)
