"""Distinct examples, drawn uniformly, and the range of classes that they are of."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, chisquare
from small_tasks import tasks_of

from gpicl_envs.datasets import Dataset
from gpicl_envs.sampling.pool import occurrence
from gpicl_envs.tasks.classification import TaskDistribution


@pytest.mark.parametrize("length", [100, 797])
def test_examples_are_distinct_and_uniform(length: int):
    episodes = TaskDistribution("Digits", split="test", length=length, n_features=8).sample(400)
    assert all(len(row.unique()) == length for row in episodes.index)
    counts = episodes.index.flatten().bincount(minlength=797).double()
    expected = 400 * length / 797
    spread = max(expected * (1 - length / 797), 1e-9)
    assert ((counts - expected) ** 2 / spread).sum() < chi2.ppf(1 - 1e-4, 797)


def test_examples_of_small_classes_are_drawn_uniformly():
    """15 examples a class, as in Omniglot: every one is as likely as the others, at every place."""
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    small = Dataset("small", {"train": x}, {"train": np.arange(60) % 4}, n_classes=4)
    episodes = TaskDistribution(small, n_classes=4, shots=10, length=41, n_features=4).sample(1000)
    counts = episodes.index.flatten().bincount(minlength=60)
    assert chisquare(counts).pvalue > 1e-4 and all(len(row.unique()) == 41 for row in episodes.index)


def test_held_out_classes_never_occur_and_the_labels_are_all_in_use():
    train = tasks_of(classes=(0, 7), n_classes=5, length=30).sample(300)
    new = tasks_of(classes=(7, 10), n_classes=5, active_classes=3, length=30).sample(300)
    assert train.tasks.classes.unique().tolist() == list(range(7))
    assert new.tasks.classes.unique().tolist() == [7, 8, 9] and new.y.unique().tolist() == list(range(5))
    whole, default = tasks_of(classes=(0, 10)).sample(3), tasks_of().sample(3)
    assert torch.equal(whole.y, default.y) and torch.equal(whole.x, default.x)
    assert tasks_of(classes=(0, 7)).n_classes == 7  # by default, all that there are


def test_occurrence_counts_those_before():
    number = torch.tensor([[3, 1, 3, 3, 1], [0, 0, 0, 2, 0]])
    assert occurrence(number).tolist() == [[0, 0, 1, 2, 1], [0, 1, 2, 0, 3]]
