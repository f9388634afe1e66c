import numpy as np
import pytest

from gpicl_envs.datasets import load_dataset
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
