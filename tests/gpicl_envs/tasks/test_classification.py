import json

import numpy as np
import pytest
import torch
from small_tasks import EVERY_KIND, tasks_of

from gpicl_envs.datasets import Dataset
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.tasks.classification import TaskDistribution


@pytest.mark.parametrize("arguments", EVERY_KIND, ids=str)
def test_labels_follow_the_hidden_task(arguments: dict):
    tasks = TaskDistribution(**({"dataset": "MNIST", "length": 20} | arguments))
    episodes = tasks.sample(5)
    base_labels = torch.from_numpy(tasks.dataset.y[tasks.split])[episodes.index]
    for b in range(5):
        of_class = {int(c): int(episodes.tasks.permutation[b, 0, k]) for k, c in enumerate(episodes.tasks.classes[b])}
        assert [of_class[int(label)] for label in base_labels[b]] == episodes.y[b].tolist()
        assert sorted(episodes.tasks.permutation[b, 0].tolist()) == list(range(tasks.n_classes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features=0 is not allowed: give a whole number of at least 1"),
        ({"n_features": 7.5}, "n_features=7.5 is not allowed"),
        (
            {"length": 60_001},
            r"length=60001 is not allowed: give a whole number from 1 to 60000 \(the train split of MNIST\)",
        ),
        ({"length": 0}, "length=0"),
        ({"n_classes": 11}, r"from 2 to 10 \(MNIST has no more\)"),
        ({"n_classes": 2, "length": 12_000}, "length=12000"),
        ({"n_tasks": 0}, "n_tasks=0"),
        ({"split": "tset"}, "Unknown split of MNIST 'tset'. Did you mean 'test'"),
        ({"projection": "gauss"}, "Did you mean 'gaussian'"),
        ({"permutation_bias": 1.5}, "permutation_bias=1.5 is not allowed: give a number from 0 to 1"),
        ({"projection": "none", "n_features": 64}, "give n_features=784"),
        ({"route": "cholesky", "n_tasks": 4}, "needs n_tasks=None"),
        ({"image_size": 0}, "image_size=0"),
        ({"dataset": "Digits", "route": "cholesky", "length": 100}, "needs length <= N_x"),
        ({"device": "cuda:99"}, "device='cuda:99' cannot be used here .*give 'cpu'"),
        ({"device": "gpu"}, "device='gpu' cannot be used here"),
        ({"dataset": "MNITS"}, "Did you mean 'MNIST'"),
    ],
    ids=str,
)
def test_bad_arguments_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        TaskDistribution(**arguments)


INCOMPLETE = Dataset("incomplete", {"train": np.eye(9, 4, dtype=np.float32)}, {"train": np.arange(9) % 2}, n_classes=3)


def test_numpys_numbers_are_numbers():
    tasks = tasks_of(label_noise=np.float32(0.5), class_imbalance=np.int64(3), length=np.int64(20))
    assert (tasks.label_noise, tasks.class_imbalance, tasks.length) == (0.5, 3.0, 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_noise": 1.2}, "label_noise=1.2 is not allowed: give a number from 0 to 1"),
        ({"label_noise": True}, "label_noise=True"),
        ({"class_imbalance": 0.5}, "class_imbalance=0.5 is not allowed: give a finite number of at least 1"),
        ({"class_imbalance": float("inf")}, "class_imbalance=inf"),
        (
            {"class_imbalance": 2.0, "length": 200},
            "the smallest class of the train split of Digits has 98: give a smaller",
        ),
        ({"drift_every": 50}, "drift_every=50 is not allowed: give a whole number from 1 to 49 .*length=50"),
        ({"drift_every": 0}, "drift_every=0"),
        ({"drift_every": 5, "drift": "label"}, "Unknown drift 'label'. Did you mean 'labels'"),
        ({"drift_every": 5, "drift": "labels", "permute_labels": False}, "drift='labels' has nothing to change"),
        ({"drift_every": 5, "drift": "projection", "projection": "none", "n_features": 64}, "has nothing to change"),
        ({"distractors": 16}, "distractors=16 is not allowed: give a whole number from 0 to 15"),
        ({"projection": "none", "n_features": 64, "distractors": 3}, "give n_features=67"),
        ({"shots": 0}, "shots=0"),
        (
            {"examples_per_task": 49},
            "examples_per_task=49 is not allowed: give a whole number from 50",
        ),
        ({"examples_per_task": 100, "class_imbalance": 3.0}, "leave it or them out"),
        ({"shots": 5, "length": 50}, "length=50 is not allowed: give a whole number of at least 51"),
        ({"shots": 2, "class_imbalance": 3.0}, "leave one of the two out"),
        ({"shots": 100, "length": 1001}, "smallest class"),
        ({"dataset": INCOMPLETE, "n_classes": 3, "shots": 1, "length": 4}, "has examples of only 2 of 3 classes"),
        ({"n_classes": 11}, "Digits has no more"),
        ({"drift": "labels"}, "sets what changes, but not when: give drift_every too"),
        ({"permutation_bias": 0.5, "permute_labels": False}, "has no effect with permute_labels=False"),
        ({"permute_labels": "no"}, "permute_labels='no' is not allowed: give True or False"),
        ({"drift_every": 1, "length": 1}, "not allowed|needs a length of at least 2"),
    ],
    ids=str,
)
def test_bad_options_say_what_is_allowed(arguments: dict, message: str):
    with pytest.raises((ValueError, UnknownNameError), match=message):
        tasks_of(**arguments)


def test_features_replace_the_images():
    pytest.importorskip("efficientnet_lite_pytorch", reason="pip install 'gpicl-envs[features]'")
    x = np.random.default_rng(0).integers(256, size=(24, 8, 8), dtype=np.uint8)
    pictures = Dataset("pictures", {"train": x, "test": x}, {"train": np.arange(24) % 2, "test": np.arange(24) % 2}, 2)
    tasks = TaskDistribution(pictures, features="efficientnet-lite0", image_size=32, n_classes=2, length=10)
    assert tasks.dataset.shape == (1280,) and tasks.sample(2).x.shape == (2, 10, 784)
    named = tasks.arguments
    assert (named["dataset"], named["features"], named["image_size"]) == ("pictures", "efficientnet-lite0", 32)
    unseen = tasks.unseen()
    assert unseen.dataset.shape == (1280,) and unseen.split == "test" and unseen.arguments["image_size"] == 32


def test_what_has_no_id_of_its_own_is_shown_by_the_array_id():
    assert TaskDistribution(INCOMPLETE, n_classes=3, length=4, n_features=4).env_id == "GPICL-Array-v0"
    assert tasks_of().env_id == "GPICL-Digits-v0"
    x, y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32), np.arange(40) % 10
    mine = Dataset("MNIST", {"train": x}, {"train": y}, n_classes=10)
    assert tasks_of(dataset=mine, length=9).env_id == "GPICL-Array-v0"  # MNIST by name only


@pytest.mark.parametrize(
    "arguments",
    [
        {"length": 6, "n_features": 12, "n_classes": 3, "task_seed": 5},
        {"n_tasks": 4, "examples_per_task": 8, "length": 8},
        {"shots": 2, "distractors": 3},
        {"drift_every": 3, "image_size": 5, "length": 9},
    ],
    ids=str,
)
def test_numbers_of_numpy_make_the_same_tasks(arguments: dict[str, int]):
    plain = TaskDistribution("Digits", **arguments)
    made = TaskDistribution("Digits", **{name: np.int64(value) for name, value in arguments.items()})
    assert json.dumps(made.arguments) == json.dumps(plain.arguments)
    assert torch.equal(made.sample(np.int64(2), np.int64(3), np.int64(1)).x, plain.sample(2, 3, 1).x)
