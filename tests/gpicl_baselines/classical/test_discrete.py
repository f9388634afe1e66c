import math

import pytest
import torch

from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.regression import FunctionDistribution

SIZES = {"n_features": 3, "n_classes": 1}


@pytest.mark.parametrize("function", ["LinearRegression", "SparseLinearRegression"])
def test_it_is_the_posterior_mean_by_brute_force(function: str):
    """p(task | examples) from the normal density of every value, task by task."""
    tasks = FunctionDistribution(function, length=7, n_features=3, n_tasks=5, task_seed=4, noise=0.8)
    learner = make_learner("dmmse", **SIZES, n_tasks=5, task_seed=4, noise=0.8, function=function)
    zeros = torch.zeros(5).numpy().astype("uint64")
    weights = tasks.parameters(tasks.episodes(zeros, zeros, torch.arange(5)).tasks)["weight"].tolist()
    episodes = tasks.sample(6, seed=2)
    predicted = learner.predict(episodes.x, episodes.y)
    for x, y, values in zip(episodes.x.tolist(), episodes.y.tolist(), predicted[..., 0].tolist(), strict=True):
        for n in range(7):
            posterior = [1.0] * 5
            for i, w in enumerate(weights):
                for j in range(n):
                    error = y[j] - sum(a * b for a, b in zip(w, x[j], strict=True))
                    posterior[i] *= math.exp(-(error**2) / (2 * 0.8**2)) / (0.8 * math.sqrt(2 * math.pi))
            mean = [sum(p * w[d] for p, w in zip(posterior, weights, strict=True)) / sum(posterior) for d in range(3)]
            assert values[n] == pytest.approx(sum(a * b for a, b in zip(mean, x[n], strict=True)), abs=1e-4)


def test_it_is_better_than_ridge_on_its_own_tasks_and_worse_on_new_ones():
    named = {"n_features": 8, "noise": 0.5, "length": 16}
    learners = [
        make_learner("dmmse", n_features=8, n_tasks=16, noise=0.5),
        make_learner("ridge", n_features=8, n_classes=1, regularization=0.25 / 8),
    ]

    def errors(**changes) -> list[float]:
        curves = evaluate_all(learners, FunctionDistribution(**named | changes), episodes=256)
        return [float(curve.mean.mean()) for curve in curves]

    (seen, seen_ridge), (new, new_ridge) = errors(n_tasks=16), errors(split="test")
    assert seen < 0.5 * seen_ridge and new_ridge < 0.5 * new


def test_it_knows_its_tasks_alone_and_counts_their_likelihoods_as_its_state():
    same = [make_learner("dmmse", n_tasks=n, task_seed=seed).weight for n, seed in ((8, 1), (16, 1), (8, 2))]
    assert torch.equal(same[0], same[1][:8]) and not torch.equal(same[0], same[2])
    learner = make_learner("dmmse", **SIZES, n_tasks=10)
    assert (learner.state_size(2), learner.state_size(99), learner.n_parameters) == (8, 10, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_classes": 4}, "dmmse predicts values, n_classes=1; given n_classes=4"),
        ({"n_tasks": 0}, "n_tasks=0 is not allowed: give a whole number from 1 to 65536"),
        ({"n_tasks": 1 << 20}, r"n_tasks=1048576 is not allowed.*weighs every task at every position"),
        ({"noise": 0}, "noise=0 is not allowed: give a finite number above 0"),
        ({"function": "DecisionTree"}, "DecisionTree.*LinearRegression, SparseLinearRegression"),
        ({"task_seed": -1}, "task_seed=-1 is not allowed"),
    ],
)
def test_arguments_that_name_no_finite_set_of_linear_functions_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make_learner("dmmse", **arguments)
