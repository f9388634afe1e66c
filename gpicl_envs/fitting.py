"""Text → learners made to fit the tasks: `knn,metric=euclidean` on tasks of D features and K classes; who they are."""

import inspect
from hashlib import sha256
from typing import Any

from torch import uint8
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


def identity_of(spec: str, learner: Any) -> str:
    """Return the sha256 of a learner's spec, of the source files of its classes, and of its weights."""
    digest = sha256(spec.encode())
    for made in (type(learner), *getattr(learner, "adapts", ())):
        try:
            digest.update(inspect.getsource(inspect.getmodule(made) or made).encode())
        except (OSError, TypeError):
            digest.update(getattr(made, "__qualname__", repr(made)).encode())
    if isinstance(learner, Module):
        for name, values in sorted(learner.state_dict().items()):
            digest.update(name.encode())
            digest.update(values.detach().cpu().contiguous().view(-1).view(uint8).numpy().tobytes())
    return digest.hexdigest()
