import numpy as np
import pytest
from scipy.stats import norm

from gpicl_envs.datasets import load_dataset
from gpicl_envs.datasets.synthetic import bayes_accuracy, many_clusters


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


def test_many_clusters_have_their_means_noise_and_sizes():
    data = many_clusters(100, 0.5)
    assert data.shape == (100,) and data.n_classes == 100
    for split, size in (("train", 200), ("test", 100)):
        x, y = data.split(split)
        assert (np.bincount(y) == size).all()
        noise = x - 4 * np.eye(100)[y]
        assert noise.std() == pytest.approx(0.5, abs=0.002) and abs(noise.mean()) < 0.002
    assert many_clusters(3, 1.0).shape == (64,)


def test_the_bayes_accuracy_is_that_of_two_gaussians_and_of_a_simulation():
    assert bayes_accuracy(3.0, 2) == pytest.approx(norm.cdf(3 / 2**0.5), abs=1e-8)
    z = np.random.default_rng(0).standard_normal((4000, 1024))
    wins = ((z[:, 0] + 3.0) > z[:, 1:].max(1)).mean()
    assert bayes_accuracy(3.0, 1024) == pytest.approx(wins, abs=4 * (0.25 / 4000) ** 0.5)
    assert bayes_accuracy(400.0, 1024) == pytest.approx(1, abs=1e-8)
