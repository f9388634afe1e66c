"""Text → learners made to fit the tasks: `knn,metric=euclidean` on tasks of D features and K classes."""

import inspect
from typing import Any

from torch.nn import Module

from gpicl_envs.learner import find_class, has_own_size, learner_targets, make_learner
from gpicl_envs.oracle import Oracle
from gpicl_envs.specs import parse_spec


def takes_seed(spec: str) -> bool:
    """Whether the constructor behind a registered name or `module:Class` has an argument `seed`."""
    target, own = parse_spec(spec)
    if has_own_size(target) or "seed" in own:
        return False
    return "seed" in inspect.signature(find_class(learner_targets().get(target, target))).parameters


def make_fitting(spec: str, arguments: dict[str, Any], tasks: Any) -> Any:
    """Return a learner made for the tasks' D and K, on their device; what was trained before brings its own.

    Args:
        spec: as for `make_learner`; arguments may follow it: `"knn,metric=euclidean"`. Or `"oracle"`.
        arguments: of the constructor, before those of the spec.
        tasks: a distribution of episodes.
    """
    target, own = parse_spec(spec)
    if target == Oracle.name and not own | arguments:
        return Oracle()
    if not has_own_size(target):
        arguments = {"n_features": tasks.n_features, "n_classes": tasks.n_classes} | arguments
    made = make_learner(target, **arguments | own)
    return made.to(tasks.device) if isinstance(made, Module) else made
