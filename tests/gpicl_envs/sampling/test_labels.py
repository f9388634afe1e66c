"""Labels: permutations, their drift and bias, and noise."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare
from small_tasks import base_labels, tasks_of

from gpicl_envs.datasets import load_dataset
from gpicl_envs.sampling.labels import add_noise_among, apply_permutations, draw_permutations
from gpicl_envs.sampling.philox import Streams
from gpicl_envs.tasks.classification import TaskDistribution


def test_label_noise_is_the_fraction_of_wrong_labels_and_spreads_evenly():
    """The oracle, who knows ρ and the clean label, is right in 1 − p of all cases."""
    tasks = tasks_of(label_noise=0.3)
    episodes = tasks.sample(200)
    clean = episodes.tasks.permutation[:, 0].gather(1, base_labels(tasks, episodes))
    right = int((clean == episodes.y).sum())
    assert binomtest(right, clean.numel(), 0.7).pvalue > 1e-4
    shift = ((episodes.y - clean) % 10)[clean != episodes.y].bincount(minlength=10)
    assert shift[0] == 0 and chisquare(shift[1:]).pvalue > 1e-4


def test_noise_among_active_classes_is_uniform_over_the_others():
    """Tasks of different numbers of classes in one batch: a replaced label is another active one, each as often."""
    active = torch.tensor([[1, 0, 1, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    number = torch.tensor([2, 1, 4])[:, None].expand(-1, 4000)
    streams = Streams(np.zeros(3, np.uint64), np.arange(3, dtype=np.uint64), 0, torch.device("cpu"))
    noisy = add_noise_among(number, active, 1.0, streams)
    for row, others in zip(noisy, ([0, 3, 4], [2], [0, 1, 2, 3]), strict=True):
        counts = row.bincount(minlength=5)
        assert counts[others].sum() == 4000 and (len(others) == 1 or chisquare(counts[others]).pvalue > 1e-4)
    kept = add_noise_among(number, active, 0.25, streams) == number
    assert binomtest(int(kept.sum()), kept.numel(), 0.75).pvalue > 1e-4


def test_label_noise_changes_nothing_else():
    noisy, clean = tasks_of(label_noise=0.5).sample(5), tasks_of().sample(5)
    assert torch.equal(noisy.x, clean.x) and torch.equal(noisy.index, clean.index) and not torch.equal(noisy.y, clean.y)


def test_full_label_noise_never_shows_the_true_label():
    tasks = tasks_of(label_noise=1.0, permute_labels=False)
    episodes = tasks.sample(20)
    assert not (episodes.y == base_labels(tasks, episodes)).any()


def test_drifting_labels_change_at_the_given_examples_and_only_then():
    tasks = tasks_of(drift_every=20, drift="labels", permute_labels=True)
    episodes = tasks.sample(30)
    labels = base_labels(tasks, episodes)
    assert episodes.tasks.permutation.shape == (30, 3, 10)
    for n in range(50):
        rho = episodes.tasks.permutation[:, n // 20]
        assert torch.equal(episodes.y[:, n], rho.gather(1, labels[:, n : n + 1])[:, 0])
    first, second = episodes.tasks.permutation[:, 0], episodes.tasks.permutation[:, 1]
    assert (first == second).float().mean() == pytest.approx(0.1, abs=0.07)  # as two random permutations agree


@pytest.mark.parametrize("arguments", [{"permute_labels": False}, {"permutation_bias": 1.0}], ids=str)
def test_a_fixed_permutation_means_the_same_whichever_classes_are_drawn(arguments: dict):
    tasks = tasks_of(n_classes=4, n_features=8, length=20, **arguments)
    episodes = tasks.sample(50)
    base = base_labels(tasks, episodes)
    rank = (episodes.tasks.classes.unsqueeze(1) < base.unsqueeze(2)).sum(2)  # of the example's class among the drawn
    rho = episodes.tasks.permutation[0, 0]
    assert torch.equal(episodes.y, rho[rank]) and len(episodes.tasks.classes.unique(dim=0)) > 10


def test_every_permutation_of_three_labels_is_equally_likely():
    y = TaskDistribution("Digits", n_classes=3, n_features=4, length=1).sample(6000).tasks.permutation[:, 0]
    counts = (y @ torch.tensor([9, 3, 1])).unique(return_counts=True)[1].double()
    assert len(counts) == 6 and ((counts - 1000) ** 2 / 1000).sum() < 25


def test_labels_may_stay_as_they_are():
    tasks = TaskDistribution("Digits", permute_labels=False)
    episodes = tasks.sample(2)
    assert torch.equal(episodes.y, torch.from_numpy(load_dataset("Digits").y["train"])[episodes.index])


def test_permutation_bias_is_the_fraction_of_the_fixed_permutation():
    permutation = TaskDistribution("Digits", permutation_bias=0.8, n_features=4).sample(2000).tasks.permutation[:, 0]
    rows, counts = permutation.unique(dim=0, return_counts=True)
    assert counts.max() / 2000 == pytest.approx(0.8, abs=0.04)
    fixed = rows[counts.argmax()]
    again = TaskDistribution("Digits", permutation_bias=1.0, n_features=4).sample(3, seed=5).tasks.permutation
    assert (again == fixed).all()


def test_permutations_that_exist_never_change():
    task = Streams(np.array([5, 6], np.uint64), np.array([3, 2**63], np.uint64), 1, torch.device("cpu"))
    assert draw_permutations(task, 4, 2, 0.0, 7).tolist() == [
        [[0, 3, 1, 2], [1, 3, 2, 0]],
        [[3, 1, 2, 0], [2, 1, 0, 3]],
    ]
    assert draw_permutations(task, 4, 1, 0.5, 7).tolist() == [[[0, 3, 1, 2]], [[2, 1, 3, 0]]]
    assert draw_permutations(task, 4, 1, 1.0, 7).tolist() == [[[2, 1, 3, 0]], [[2, 1, 3, 0]]]


@pytest.mark.parametrize("n_segments", [1, 2, 3])
def test_each_segment_has_its_own_permutation(n_segments: int):
    permutation = torch.stack([torch.randperm(4) for _ in range(2 * n_segments)]).view(2, n_segments, 4)
    number = torch.randint(4, (2, 5 * n_segments))
    labels = apply_permutations(permutation, number, [slice(5 * i, 5 * i + 5) for i in range(n_segments)])
    for b in range(2):
        expected = [permutation[b, n // 5, k].item() for n, k in enumerate(number[b].tolist())]
        assert labels[b].tolist() == expected


def test_the_permutation_of_every_segment_is_biased_independently():
    tasks = TaskDistribution("Digits", permutation_bias=0.5, drift="labels", drift_every=10, length=30, n_features=4)
    fixed = TaskDistribution("Digits", permutation_bias=1.0, n_features=4).sample(1).tasks.permutation[0, 0]
    is_fixed = (tasks.sample(1000).tasks.permutation == fixed).all(2)
    assert is_fixed.shape == (1000, 3)
    patterns = (is_fixed.long() * torch.tensor([4, 2, 1])).sum(1).bincount(minlength=8)
    assert chisquare(patterns).pvalue > 1e-4
