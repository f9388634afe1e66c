import numpy as np
import pytest
from scipy.stats import norm

from gpicl_envs.datasets import load_dataset
from gpicl_envs.datasets.synthetic import bayes_accuracy


def test_random_has_twenty_items_and_other_ones_to_test():
    dataset = load_dataset("Random")
    assert dataset.with_replacement and len(dataset.y["train"]) == len(dataset.y["test"]) == 20
    assert not np.allclose(dataset.x["train"], dataset.x["test"])


def test_bayes_accuracy_of_two_clusters_is_the_textbook_one():
    assert bayes_accuracy(1.7, 2) == pytest.approx(norm.cdf(1.7 / 2**0.5), abs=1e-6)


def test_the_optimal_player_of_clusters_scores_the_bayes_accuracy():
    """Knowing the means e_k, it takes the largest of the first K coordinates."""
    dataset = load_dataset("Clusters")
    right = np.concatenate([dataset.x[s][:, :10].argmax(1) == dataset.y[s] for s in ("train", "test")])
    std = (dataset.bayes_accuracy * (1 - dataset.bayes_accuracy) / len(right)) ** 0.5
    assert right.mean() == pytest.approx(dataset.bayes_accuracy, abs=4 * std)
