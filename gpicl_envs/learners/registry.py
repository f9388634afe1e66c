"""Text → learners: registered names, `knn,metric=euclidean`, module:Class, schemes; made to fit the tasks' D and K."""

import ast
import importlib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from gpicl_envs.errors import UnknownNameError, construct

if TYPE_CHECKING:
    from gpicl_envs.learners.base import Learner

LEARNERS_GROUP = "gpicl.learners"
SCHEMES_GROUP = "gpicl.learner_schemes"
OUTER_COMMA = re.compile(r",(?![^(\[{]*[)\]}])")


def parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `("width=128", "tokens=paper")` into `{"width": 128, "tokens": "paper"}`."""
    arguments = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"{assignment!r} is not an assignment: give NAME=VALUE, such as width=128.")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return arguments


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Turn `"knn,metric=euclidean,k=3"` into `("knn", {"metric": "euclidean", "k": 3})`; brackets may hold commas."""
    target, *assignments = OUTER_COMMA.split(spec)
    return target, parse(assignments)


_registered: dict[str, str] = {}


def register_learner(name: str, target: str) -> None:
    """Make a learner known by name in this process.

    Packages do the same for good with an entry point of the group `gpicl.learners`.

    Args:
        name: the name, as in `make_learner(name)` and `gpicl evaluate --learner name`.
        target: `"module:Class"`, imported when first used.
    """
    known = learner_targets().get(name)
    if known not in (None, target):
        raise ValueError(f"Learner {name!r} is registered already, as {known}: choose another name.")
    _split_target(target)
    _registered[name] = target


def learner_targets() -> dict[str, str]:
    """Return name → `"module:Class"` of every registered learner."""
    return {point.name: point.value for point in entry_points(group=LEARNERS_GROUP)} | _registered


def make_learner(spec: str, **arguments: Any) -> "Learner":
    """Turn a description into a learner.

    Args:
        spec: a registered name (`"knn"`), `"module:Class"`, a checkpoint folder, `"module:Class@folder"` for the
            checkpoint of a class that is not registered, or `"scheme:rest"` with a scheme of the entry-point group
            `gpicl.learner_schemes`.
        **arguments: the constructor's arguments.

    Raises:
        ValueError: nothing of that name exists (the message lists what does), or an argument is not known.
    """
    schemes = {point.name: point for point in entry_points(group=SCHEMES_GROUP)}
    scheme, _, rest = spec.partition(":")
    if spec not in learner_targets() and os.path.isdir(spec):
        return schemes["checkpoint"].load()(spec, **arguments)
    target, at, folder = spec.partition("@")
    if at:
        return schemes["checkpoint"].load()(folder, learner=learner_targets().get(target, target), **arguments)
    if rest and scheme in schemes:
        return schemes[scheme].load()(rest, **arguments)
    known = learner_targets().get(spec)
    if known is None and not rest:
        hint = "Or give module:Class, or the path of a checkpoint folder."
        if "," in spec:
            hint = "Arguments are keywords here: make_learner('knn', k=3)."
        raise UnknownNameError("learner", spec, learner_targets(), hint)
    return construct(find_class(known or spec), arguments)


def has_own_size(spec: str) -> bool:
    """Whether a learner brings its D and K, as what was trained before does, so that `make_learner` takes none."""
    scheme, _, rest = spec.partition(":")
    points = {point.name: point for point in entry_points(group=SCHEMES_GROUP)}
    if spec in learner_targets():
        return False
    if os.path.isdir(spec) or "@" in spec:
        return True
    return bool(rest) and scheme in points and "n_features" not in inspect.signature(points[scheme].load()).parameters


def find_class(target: str) -> Callable[..., Any]:
    """Import `"module:Class"`."""
    module_name, class_name = _split_target(target)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f"Learner {target!r} needs the module {error.name!r}, which is not installed.") from error
        raise ValueError(
            f"Learner {target!r}: there is no module {module_name!r} on the import path. Run from its folder, install "
            "it, or set PYTHONPATH."
        ) from None
    if not hasattr(module, class_name):
        classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
        raise UnknownNameError(f"class of module {module_name}", class_name, classes)
    return getattr(module, class_name)


def _split_target(target: str) -> tuple[str, str]:
    module_name, _, class_name = target.partition(":")
    if not module_name or not class_name:
        raise ValueError(f"{target!r} does not name a class: give module:Class, such as my_package.agents:MyAgent.")
    return module_name, class_name


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
    from torch.nn import Module

    from gpicl_envs.tasks.oracle import Oracle

    target, own = parse_spec(spec)
    if target == Oracle.name and not own | arguments:
        return Oracle()
    if not has_own_size(target):
        arguments = {"n_features": tasks.n_features, "n_classes": tasks.n_classes} | arguments
    made = make_learner(target, **arguments | own)
    return made.to(tasks.device) if isinstance(made, Module) else made


def learner_fingerprint(spec: str, learner: Any) -> str:
    """Return the sha256 of a learner's spec, of the source files of its classes, and of its weights."""
    from torch import uint8
    from torch.nn import Module

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
