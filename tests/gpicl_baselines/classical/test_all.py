"""What holds for more than one baseline: the protocol, that they learn, and which arguments they refuse."""

import pytest
import torch
from baseline_checks import mnist_episodes

from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.episodes import Episodes
from gpicl_envs.tasks.regression import FunctionDistribution


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    return mnist_episodes()


def test_before_any_example_all_labels_are_equal(episodes: Episodes):
    for name in ("knn", "centroid", "ridge", "kernel-ridge", "sgd", "majority", "uniform"):
        first = make_learner(name, n_features=64).predict(episodes.x, episodes.y)[:, 0]
        assert torch.allclose(first, first[:, :1].expand_as(first)), name


@pytest.mark.parametrize("name", ["knn", "centroid", "ridge", "kernel-ridge", "sgd", "majority", "uniform"])
@pytest.mark.parametrize("sizes", [(1, 2), (784, 10), (50, 30)])
def test_any_number_of_features_and_classes_will_do(name: str, sizes: tuple[int, int]):
    check_learner(make_learner(name, n_features=sizes[0], n_classes=sizes[1]), length=6)


@pytest.mark.parametrize("name", ["knn", "ridge", "kernel-ridge", "majority", "least-squares"])
def test_learners_of_values_pass_the_check_and_beat_nothing(name: str):
    learner = make_learner(name, n_features=20, n_classes=1)
    check_learner(learner, length=30)
    curve = evaluate(learner, FunctionDistribution("LinearRegression", length=41), episodes=100)
    assert curve.mean[-1] < 1.3 * curve.mean[0]  # E y² = D at first


@pytest.mark.parametrize("name", ["naive-bayes", "lda", "logistic", "gaussian-process", "label-propagation"])
def test_every_classical_baseline_passes_the_check_and_learns(name: str):
    check_learner(make_learner(name, n_features=32, n_classes=4), length=20)
    curve = evaluate(make_learner(name), TaskDistribution("MNIST", split="test"), episodes=32)
    assert 0.55 < curve.final.mean < 0.85 and curve.mean[0] < 0.35


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        *(("ridge", "regularization"), ("kernel-ridge", "regularization"), ("logistic", "regularization")),
        *(("sgd", "learning_rate"), ("gradient", "learning_rate"), ("maml", "inner_rate")),
        *(("gaussian-process", "amplitude"), ("gaussian-process", "epsilon")),
    ],
)
@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True])
def test_numbers_that_must_be_above_zero_are_checked(name: str, argument: str, value: float):
    with pytest.raises(ValueError, match=f"{argument}={value} is not allowed: give a finite number above 0"):
        make_learner(name, **{argument: value})


CLASSICAL = {
    "uniform": {},
    "majority": {},
    "knn": {"k": 1, "metric": "cosine"},
    "centroid": {"sharpness": 15.0},
    "ridge": {"regularization": 1.0, "sharpness": 12.0},
    "kernel-ridge": {"gamma": 1.5, "regularization": 0.003, "sharpness": 12.0},
    "naive-bayes": {"smoothing": 0.1},
    "lda": {"shrinkage": 0.01, "sharpness": 10.0},
    "logistic": {"regularization": 0.01, "steps": 20},
    "gaussian-process": {"gamma": 1.5, "amplitude": 30.0, "epsilon": 0.01},
    "label-propagation": {"gamma": 10.0, "alpha": 0.05},
}


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_settings_that_were_chosen_are_the_defaults(name: str):
    """Another default would be another learner under the same name in tables."""
    assert make_learner(name).get_params() == {"n_features": 784, "n_classes": 10} | CLASSICAL[name]


@pytest.mark.parametrize(
    ("name", "after_two", "after_many"),
    [
        ("uniform", 0, 0),
        ("majority", 3, 3),  # counts
        ("centroid", 21, 21),  # (D + 1) K
        ("naive-bayes", 39, 39),  # (2 D + 1) K
        ("knn", 14, 7000),  # (D + 1) n
        ("ridge", 14, 45),  # D (D + 1) / 2 + D K + D, or the examples if they are fewer
        ("kernel-ridge", 14, 7000),
        ("gaussian-process", 14, 7000),
    ],
)
def test_the_state_is_what_the_next_prediction_can_read(name: str, after_two: int, after_many: int):
    learner = make_learner(name, n_features=6, n_classes=3)
    assert (learner.state_size(2), learner.state_size(1000)) == (after_two, after_many)
