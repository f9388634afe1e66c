"""The Bayes-optimal estimator of linear functions that are drawn from a finite set: dMMSE of Raventós et al. 2023.

Raventós, Paul, Chen, Ganguli, "Pretraining task diversity and the emergence of non-Bayesian in-context learning for
regression" (arXiv:2306.15063), equation 3.
"""

from typing import Any

import numpy as np
import torch

from gpicl_baselines.classical.causal import sum_before
from gpicl_envs.errors import check_choice, check_integer, check_positive
from gpicl_envs.learners.base import Learner
from gpicl_envs.tasks.regression import FunctionDistribution

FUNCTIONS = ("LinearRegression", "SparseLinearRegression")
MOST_TASKS = 1 << 16  # whose likelihoods are all computed at every position


class DiscreteMMSE(Learner):
    """The posterior mean of w · x, with w one of the weights of tasks 0 … n − 1, all of the same prior probability.

    The weight of task i after the first n examples is proportional to exp(−Σ_{j ≤ n} (y_j − w_i · x_j)² / 2σ²).

    Args:
        n_tasks: n, as for the environment's argument of that name.
        task_seed: seed of these tasks.
        noise: σ, standard deviation of the noise on y.
        function: class of the functions, `"LinearRegression"` or `"SparseLinearRegression"`.
    """

    name = "dmmse"
    predicts_values = True

    def __init__(
        self,
        n_features: int = 20,
        n_classes: int = 1,
        n_tasks: int = 64,
        task_seed: int = 0,
        noise: float = 0.5,
        function: str = "LinearRegression",
    ) -> None:
        super().__init__(n_features, n_classes)
        if n_classes != 1:
            raise ValueError(f"dmmse predicts values, n_classes=1; given n_classes={n_classes}: use another learner.")
        self.function, self.noise = check_choice("function", function, FUNCTIONS), check_positive("noise", noise)
        self.n_tasks = check_integer("n_tasks", n_tasks, 1, MOST_TASKS, "dmmse weighs every task at every position")
        named: dict[str, Any] = {"n_features": n_features, "n_tasks": self.n_tasks, "task_seed": task_seed}
        tasks, any_episode = FunctionDistribution(function, length=1, **named), np.zeros(self.n_tasks, np.uint64)
        self.task_seed = tasks.task_seed
        each = tasks.episodes(any_episode, any_episode, torch.arange(self.n_tasks)).tasks
        self.weight = tasks.parameters(each)["weight"].double()  # (n, D)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, 1)."""
        values = x.double() @ self.weight.to(x.device).mT  # (B, N, n)
        errors = sum_before((y.double().unsqueeze(2) - values).square())
        posterior = (-errors / (2 * self.noise**2)).softmax(2)
        return (posterior * values).sum(2, keepdim=True).to(x)

    def state_size(self, n_examples: int) -> int:
        """The log-likelihood of every task; or the examples, if fewer."""
        return min(super().state_size(n_examples), self.n_tasks)
