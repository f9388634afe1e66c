"""Text → learners: `LearnerSpec` reads a description such as `knn,k=3` and makes the learner."""

import ast
import importlib
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gpicl_envs.errors import UnknownNameError, construct, shareable, with_home
from gpicl_envs.learners.plugins import plugins
from gpicl_envs.learners.sources import source_code

if TYPE_CHECKING:
    from gpicl_envs.learners.base import Learner

LEARNERS_GROUP = "gpicl.learners"
SCHEMES_GROUP = "gpicl.learner_schemes"
CHECKPOINT = "checkpoint"

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

    Arguments follow after commas: `knn,metric=euclidean,k=3`. Brackets may hold commas. A folder that exists
    is taken if it is written as a path (`./lstm`, `runs/lr=0.1,k=3`), whatever its name; a registered name is refused
    if the working directory has a checkpoint in a folder of that name. A path may begin with `~`, the home folder.

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
    def parse(cls, text: str | os.PathLike[str], /, **kwargs: Any) -> "LearnerSpec":
        """Read a text; the keyword arguments replace those in it.

        Raises:
            ValueError: an argument is malformed, or the text could be a folder or something else.
        """
        if not isinstance(text, str | os.PathLike):
            raise ValueError(f"{text!r} describes no learner: give text, such as 'knn,k=3' or a checkpoint folder.")
        text = os.fspath(text)
        if not text.isprintable():
            raise ValueError(f"{text!r} has characters that cannot be printed: rename the folder, or correct the text.")
        name, arguments = _split_arguments(with_home(text))
        kwargs = arguments | kwargs
        known, (scheme, _, rest) = learner_targets(), name.partition(":")
        if name in known:
            if not kwargs and _holds_checkpoint(name):  # which takes no arguments
                raise ValueError(
                    f"{name!r} could be the registered learner or the checkpoint in the folder of that name: for the "
                    f"checkpoint, give ./{name}; for the registered learner, {known[name]}."
                )
            return cls(text, name, name, kwargs=kwargs)
        if os.path.isdir(name):
            return cls(text, name, name, CHECKPOINT, kwargs)
        if rest and scheme in plugins(SCHEMES_GROUP):
            return cls(text, name, rest, scheme, kwargs)
        target, at, folder = name.partition("@")
        if at:
            return cls(text, name, folder, CHECKPOINT, {"learner": known.get(target, target)} | kwargs)
        return cls(text, name, name, kwargs=kwargs)

    @property
    def factory(self) -> Callable[..., Any]:
        """The class, or the loader of the scheme; for an unknown name, the ValueError lists what exists."""
        self.require()
        if self.scheme:
            loader: Callable[..., Any] = plugins(SCHEMES_GROUP)[self.scheme].load()
            return loader
        return find_class(learner_targets().get(self.target, self.target))

    def require(self) -> None:
        """Raise ValueError, with the valid names, if nothing has this name or path; imports nothing."""
        if self.scheme == CHECKPOINT and not os.path.isdir(self.target):
            raise ValueError(f"Learner {self.text!r}: there is no folder {self.target!r}.")
        if self.scheme or self.target in (known := learner_targets()):
            return
        if _is_path(self.target):
            raise ValueError(
                f"There is no folder {self.text!r}: give one that `gpicl train --out FOLDER` wrote, the name of a "
                "learner, or module:Class."
            )
        if not self.target.partition(":")[2]:
            hint = "Or give module:Class, or the path of a checkpoint folder."
            raise UnknownNameError("learner", self.target, known, hint)

    def make(self, **defaults: Any) -> "Learner":
        """Return the learner; `defaults` are arguments that the text may replace."""
        from gpicl_envs.learners.base import Learner

        factory, kwargs = self.factory, defaults | self.kwargs
        if not self.scheme:
            made = construct(factory, kwargs)
        else:
            made = construct(partial(factory, self.target), kwargs, f"{self.scheme}:{self.target}")
        if not isinstance(made, Learner):
            raise ValueError(
                f"Learner {self.text!r} is a {type(made).__name__}, not a gpicl_envs.Learner: derive the class from "
                "Learner; a scikit-learn classifier is sklearn:module:Class, and a class with act(observation) is "
                "act:module:Class."
            )
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

        The text is the one of records, without secrets and the home folder. A learner that depends on more, such as
        files of data, has a method `fingerprint()` that returns a text for it.
        """
        from torch.nn import Module

        digest = sha256(shareable(self.text).encode())
        for made in (type(learner), *getattr(learner, "adapts", ())):
            digest.update(source_code(made))
        if callable(own := getattr(learner, "fingerprint", None)):
            digest.update(str(own()).encode())
        if isinstance(learner, Module):
            for name, values in sorted(learner.state_dict().items()):
                digest.update(name.encode())
                _add(digest, values)
        return digest.hexdigest()


def _add(digest: Any, state: Any) -> None:
    """Add what a module keeps to a digest: tensors bit for bit, also those in its extra state."""
    from torch import Tensor, uint8

    if isinstance(state, Tensor):
        digest.update(state.detach().cpu().contiguous().view(-1).view(uint8).numpy().tobytes())
    elif isinstance(state, Mapping):
        _add(digest, list(state.items()))
    elif isinstance(state, list | tuple):
        for each in state:
            _add(digest, each)
    else:
        digest.update(repr(state).encode())


def make_learner(text: str | os.PathLike[str], /, *, tasks: Any = None, **kwargs: Any) -> "Learner":
    """Turn a description into a learner.

    Args:
        text: a registered name (`"knn"`, with arguments `"knn,k=3"`), `"module:Class"`, a checkpoint folder,
            `"module:Class@folder"` for the checkpoint of a class that is not registered, or `"scheme:rest"`.
        tasks: a distribution of episodes, for whose D and K the learner is made; by default D = 784 and K = 10.
        **kwargs: arguments of the constructor; they replace those in the text.

    Raises:
        ValueError: the name is unknown (the message lists the known ones), or an argument is not allowed.
    """
    spec = LearnerSpec.parse(text, **kwargs)
    made: Learner = spec.make() if tasks is None else spec.make_for(tasks)
    return made


def _split_arguments(text: str) -> tuple[str, dict[str, Any]]:
    """The text without its arguments, and the arguments; a folder that exists is not cut at the commas of its name."""
    pieces = text.split(",")
    for count in range(len(pieces), 1, -1):
        name, rest = ",".join(pieces[:count]), ",".join(pieces[count:])
        if any(map(os.path.isdir, (name, name.partition("@")[2], name.partition(":")[2]))):
            return name, parse_assignments(split_outside_brackets(rest, ",") if rest else [])
    name, *assignments = split_outside_brackets(text, ",")
    try:
        return name, parse_assignments(assignments)
    except ValueError as error:
        if _is_path(name):
            raise ValueError(f"There is no folder {text!r}, and as arguments of {name!r}, {error}") from None
        raise


def split_outside_brackets(text: str, separator: str) -> list[str]:
    """Return what stands between the separators outside all brackets; between all of them, if brackets do not match."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return text.split(separator) if depth else parts


def _is_path(text: str) -> bool:
    """Whether a text is written as the path of a folder, not as a name."""
    return os.path.basename(text) != text


def _holds_checkpoint(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in ("config.json", "checkpoints"))


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
    if not name or _is_path(name) or set(name) & set(",:@="):
        raise ValueError(f"name={name!r} is not allowed: give a name without / , : @ and =.")
    known = learner_targets().get(name)
    if known not in (None, target):
        raise ValueError(f"Learner {name!r} is registered already, as {known}: choose another name.")
    _split_target(target)
    _registered[name] = target


def learner_targets() -> dict[str, str]:
    """Return name → `"module:Class"` of every registered learner."""
    return {name: point.value for name, point in plugins(LEARNERS_GROUP).items()} | _registered


def find_class(target: str, kind: str = "Learner") -> Callable[..., Any]:
    """Import `"module:Class"`; `kind` is what errors call it."""
    module_name, class_name = _split_target(target)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f"{kind} {target!r} needs the module {error.name!r}, which is not installed.") from error
        raise ValueError(
            f"{kind} {target!r}: there is no module {module_name!r} on the import path. Run from its folder, install "
            "it, or set PYTHONPATH."
        ) from None
    made = getattr(module, class_name, None)
    if not callable(made):
        classes = [name for name, value in vars(module).items() if inspect.isclass(value)]
        raise UnknownNameError(f"class of module {module_name}", class_name, classes)
    return made


def _split_target(target: str) -> tuple[str, str]:
    module_name, _, class_name = target.partition(":")
    if not class_name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(f"{target!r} does not name a class: give module:Class, such as my_package.agents:MyAgent.")
    return module_name, class_name
