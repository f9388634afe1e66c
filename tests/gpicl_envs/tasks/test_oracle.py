import numpy as np
import pytest

from gpicl_envs.datasets import load_dataset
from gpicl_envs.datasets.synthetic import bayes_accuracy
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.oracle import Oracle


@pytest.mark.parametrize("drift", [None, 7])
def test_the_oracle_reaches_the_bayes_accuracy_of_clusters_within_its_interval(drift: int | None):
    tasks = TaskDistribution("Clusters", split="test", length=20, n_features=64, drift_every=drift)
    curve = evaluate(Oracle(), tasks, episodes=1500, seed=5, batch_size=64)
    bayes = load_dataset("Clusters").bayes_accuracy
    record = curve.record()
    # The accuracy on the 10,000 test examples, a sample themselves, lies within 0.5 % of the truth.
    assert record.area.low - 0.005 < bayes < record.area.high + 0.005


@pytest.mark.parametrize(
    ("arguments", "distance", "n_classes"),
    [
        ({"n_clusters": 300, "active_classes": 300, "n_classes": 300, "within_class_noise": 1.25}, 3.2, 300),
        ({"n_clusters": 40, "active_classes": 4, "within_class_noise": 2.0}, 2.0, 4),
        ({"n_clusters": 30, "n_classes": 3, "within_class_noise": 2.0}, 2.0, 3),
    ],
    ids=str,
)
def test_the_oracle_reaches_the_bayes_accuracy_of_many_clusters(arguments: dict, distance: float, n_classes: int):
    tasks = TaskDistribution("Clusters", split="test", length=20, n_features=4, **arguments)
    area = evaluate(Oracle(), tasks, episodes=1000, seed=5).record().area
    bayes = bayes_accuracy(distance, n_classes)
    assert area.low - 0.01 < bayes < area.high + 0.01  # of so few test examples
    if n_classes == arguments["n_clusters"]:
        assert tasks.dataset.bayes_accuracy == bayes


def test_labels_that_classes_share_are_easier_than_the_classes():
    tasks = TaskDistribution(
        "Clusters", length=20, n_features=4, n_clusters=8, n_classes=2, active_classes=8, within_class_noise=4.0
    )
    area = evaluate(Oracle(), tasks, episodes=1000).record().area
    by_class = tasks.dataset.bayes_accuracy
    assert (
        area.high > by_class + (1 - by_class) * 3 / 7 > by_class + 0.1
    )  # what the most likely class alone would reach


def test_the_oracle_looks_up_every_item_of_random():
    curve = evaluate(Oracle(), TaskDistribution("Random", split="test", length=20), episodes=50)
    assert np.all(curve.scores)


def test_no_class_derives_from_the_oracle():
    with pytest.raises(TypeError, match="no class may derive from it"):
        type("Mine", (Oracle,), {})


def test_the_oracle_has_no_predictions_elsewhere():
    tasks = TaskDistribution("MNIST", split="test", length=3)
    assert not Oracle().covers(tasks)
    with pytest.raises(ValueError, match="known only for Clusters and Random, not for GPICL-MNIST-v0"):
        evaluate(Oracle(), tasks, episodes=1)
