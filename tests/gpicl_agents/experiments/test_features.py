from trial_records import record, result

from gpicl_agents.experiments import features
from gpicl_envs.evaluation.protocol import UNSEEN_TASK


def test_each_dataset_has_the_accuracies_of_both_kinds_of_inputs():
    knn = record({"inputs": "pixels", "learner": "knn"}, {UNSEEN_TASK: result(0.1, 0.6)})
    both = {UNSEEN_TASK: result(0.1, 0.7), "CIFAR10": result(0.1, 0.451)}
    transformer = record({"inputs": features.NETWORK, "learner": "transformer", "seed": 0}, both)
    assert features.findings([transformer, knn]) == [
        "unseen-task, accuracy over the last 10 of 100 examples, per seed: transformer on efficientnet-lite0 "
        "70.0 % [70.0, 70.0], knn on pixels 60.0 % [60.0, 60.0].",
        "CIFAR10, accuracy over the last 10 of 100 examples, per seed: transformer on efficientnet-lite0 "
        "45.1 % [45.1, 45.1].",
    ]
    assert features.result(transformer) == "unseen-task 70.0 %, CIFAR10 45.1 %"


def test_inputs_differ_in_features_and_image_size_alone():
    trials = features.trials("small")
    network, pixels = (
        [trial for trial in trials if trial.axes["inputs"] == inputs] for inputs in (features.NETWORK, "pixels")
    )
    assert len(network) == len(pixels) == len(trials) / 2
    for one, other in zip(network, pixels, strict=True):
        assert (one.learner, one.learner_kwargs, one.train_kwargs) == (
            other.learner,
            other.learner_kwargs,
            other.train_kwargs,
        )
        assert one.env_kwargs == other.env_kwargs | {"features": "efficientnet-lite0", "image_size": 64}
        assert "features" not in other.env_kwargs and other.env_kwargs["image_size"] is None
