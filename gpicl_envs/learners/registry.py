"""Text → learners: `LearnerSpec` reads a description such as `knn,k=3` and makes the learner."""

import ast
import importlib
import inspect
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from gpicl_envs.errors import UnknownNameError, construct
from gpicl_envs.learners.sources import source_code

if TYPE_CHECKING:
    from gpicl_envs.learners.base import Learner

LEARNERS_GROUP = "gpicl.learners"
SCHEMES_GROUP = "gpicl.learner_schemes"
CHECKPOINT = "checkpoint"
OUTER_COMMA = re.compile(r",(?![^(\[{]*[)\]}])")

_registered: dict[str, str] = {}


@dataclass(frozen=True)
class LearnerSpec:
    """The parsed description of a learner; nothing is imported before `factory`, `make` or `make_for`.

    | text | learner |
    |---|---|
    | `knn` | the registered learner of that name |
    | `module:Class` | an instance of that class |
    | `FOLDER` | the learner of a checkpoint or run folder |
    | `module:Class@FOLDER` | the same, for a class that is not registered |
    | `scheme:rest` | what the loader of that scheme makes (entry-point group `gpicl.learner_schemes`) |
    | `oracle` | the `Oracle`, for evaluation alone |

    Arguments follow after commas: `knn,metric=euclidean,k=3`. Brackets may hold commas.

    Args:
        text: the whole text.
        name: the text without arguments.
        target: a registered name or `module:Class`; with a scheme, the rest; of a checkpoint, its folder.
        scheme: the name of a loader; empty for a registered name or `module:Class`.
        kwargs: arguments of the constructor or the loader.
    """

    text: str
    name: str
    target: str
    scheme: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, /, **kwargs: Any) -> "LearnerSpec":
        """Read a text; the keyword arguments replace those in it. Raises ValueError for a malformed argument."""
        name, *assignments = [text] if os.path.isdir(text) else OUTER_COMMA.split(text)
        kwargs = parse_assignments(assignments) | kwargs
        if name in (known := learner_targets()):
            return cls(text, name, name, kwargs=kwargs)
        if os.path.isdir(name):
            return cls(text, name, name, CHECKPOINT, kwargs)
        target, at, folder = name.partition("@")
        if at:
            return cls(text, name, folder, CHECKPOINT, {"learner": known.get(target, target)} | kwargs)
        scheme, _, rest = name.partition(":")
        if rest and scheme in _plugins(SCHEMES_GROUP):
            return cls(text, name, rest, scheme, kwargs)
        return cls(text, name, name, kwargs=kwargs)

    @property
    def factory(self) -> Callable[..., Any]:
        """The class, or the loader of the scheme; for an unknown name, the ValueError lists what exists."""
        if self.scheme:
            loader: Callable[..., Any] = _plugins(SCHEMES_GROUP)[self.scheme].load()
            return loader
        if self.target not in (known := learner_targets()) and not self.target.partition(":")[2]:
            hint = "Or give module:Class, or the path of a checkpoint folder."
            raise UnknownNameError("learner", self.target, known, hint)
        return find_class(known.get(self.target, self.target))

    def make(self, **defaults: Any) -> "Learner":
        """Return the learner; `defaults` are arguments that the text may replace."""
        factory, kwargs = self.factory, defaults | self.kwargs
        if self.scheme:
            kwargs[next(iter(inspect.signature(factory).parameters))] = self.target
        made: Learner = construct(factory, kwargs)
        return made

    def make_for(self, tasks: Any, /, **defaults: Any) -> Any:
        """Return the learner for the D and K of the tasks, on their device.

        A checkpoint or a pretrained learner keeps its own D and K, as does every class without these arguments.

        Args:
            tasks: a distribution of episodes.
            **defaults: further arguments that the text may replace; those that the constructor lacks are dropped.
        """
        from torch.nn import Module

        from gpicl_envs.tasks.oracle import Oracle

        if self.text == Oracle.name:
            return Oracle()
        parameters = inspect.signature(self.factory).parameters
        taken = set(parameters)
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            taken |= {"n_features", "n_classes"}  # which it passes on to Learner
        defaults |= {"n_features": tasks.n_features, "n_classes": tasks.n_classes}
        made = self.make(**{name: value for name, value in defaults.items() if name in taken})
        return made.to(tasks.device) if isinstance(made, Module) else made

    def fingerprint(self, learner: Any) -> str:
        """Return the sha256 of the text, of the source of the learner's classes (`source_code`), and of its weights.

        A learner that depends on more, such as files of data, has a method `fingerprint()` that returns a text for it.
        """
        from torch import uint8
        from torch.nn import Module

        digest = sha256(self.text.encode())
        for made in (type(learner), *getattr(learner, "adapts", ())):
            digest.update(source_code(made))
        if callable(own := getattr(learner, "fingerprint", None)):
            digest.update(str(own()).encode())
        if isinstance(learner, Module):
            for name, values in sorted(learner.state_dict().items()):
                digest.update(name.encode())
                digest.update(values.detach().cpu().contiguous().view(-1).view(uint8).numpy().tobytes())
        return digest.hexdigest()


def make_learner(text: str, /, **kwargs: Any) -> "Learner":
    """Turn a description into a learner.

    Args:
        text: a registered name (`"knn"`, with arguments `"knn,k=3"`), `"module:Class"`, a checkpoint folder,
            `"module:Class@folder"` for the checkpoint of a class that is not registered, or `"scheme:rest"`.
        **kwargs: arguments of the constructor; they replace those in the text.

    Raises:
        ValueError: the name is unknown (the message lists the known ones), or an argument is not allowed.
    """
    return LearnerSpec.parse(text, **kwargs).make()


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `("width=128", "tokens=paper")` into `{"width": 128, "tokens": "paper"}`."""
    kwargs = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"{assignment!r} is not an assignment: give NAME=VALUE, such as width=128.")
        try:
            kwargs[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            kwargs[name] = value
    return kwargs


def register_learner(name: str, target: str) -> None:
    """Register a learner by name in this process; a package does so everywhere, by entry points `gpicl.learners`.

    Args:
        name: the name, as in `make_learner(name)` and `gpicl evaluate --learners name`.
        target: `"module:Class"`, imported when first used.
    """
    known = learner_targets().get(name)
    if known not in (None, target):
        raise ValueError(f"Learner {name!r} is registered already, as {known}: choose another name.")
    _split_target(target)
    _registered[name] = target


def learner_targets() -> dict[str, str]:
    """Return name → `"module:Class"` of every registered learner."""
    return {name: point.value for name, point in _plugins(LEARNERS_GROUP).items()} | _registered


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


def _plugins(group: str) -> dict[str, EntryPoint]:
    """Name → entry point of a group, of all installed packages."""
    return {point.name: point for point in entry_points(group=group)}
