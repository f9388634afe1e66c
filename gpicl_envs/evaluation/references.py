"""Reference learners: those that are optimal for linear functions, to which predicted values are compared.

Squared error mixes what a learner lacks with what nobody can predict. The squared distance between its predictions and
those of a reference on the same episodes does not: it is 0 for a learner that has become that algorithm.
"""

from collections.abc import Mapping

import torch

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.base import EpisodeDistribution


def find_references(tasks: EpisodeDistribution) -> Mapping[str, Learner]:
    """Return name → learner, for regression; nothing for labels.

    - `least-squares`, of minimum norm: the Bayes-optimal learner of linear functions without noise (Garg et al. 2022).
    - `optimal-ridge`, if there is noise of variance σ²: the Bayes-optimal one of linear functions with Gaussian
      weights, whose regularisation is σ² / target variance.
    """
    if not tasks.is_regression:
        return {}
    sizes = {"n_features": tasks.n_features, "n_classes": 1}
    found = {"least-squares": make_learner("least-squares", **sizes)}
    if noise := getattr(tasks, "noise", 0.0):
        regularization = noise**2 / tasks.target_variance
        found["optimal-ridge"] = make_learner("ridge", regularization=regularization, **sizes)
    return found


def squared_distances(references: Mapping[str, torch.Tensor], values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the mean squared distance of predictions to those of each reference in each episode.

    Args:
        references: (B, N, 1) predictions by name.
        values: (B, N, 1) predictions of a learner.

    Returns:
        (B,) by name, float64, in units of y².
    """
    return {name: (values - other.to(values.device)).square().mean((1, 2)) for name, other in references.items()}
