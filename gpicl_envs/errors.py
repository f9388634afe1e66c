"""Messages for bad input: what was wrong, what was given, what is allowed, what to do; and what no message shows."""

import inspect
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from numbers import Real
from typing import Any

LONGEST = 120  # characters of a value in an error
LONGEST_MESSAGE = 600  # characters of the message of an exception in a record
HIDDEN = "***"  # in place of a secret: a value of these names, or what begins as the keys of well-known services do
VALUE = r"""(?:"[^"]*"?|'[^']*'?|[^\s,;&'")\]}]+)+"""
NAMES = r"token|secret|password|passwd|passphrase|credentials?|signature|(?:api|access|private)[_-]?key"
SECRET = re.compile(
    rf"""(?P<kept>(?i:(?<![\w-])[\w-]*(?:{NAMES})["']?\s*[=:]\s*)|(?<!\w)[A-Z0-9_]+_(?:KEY|PASS)=|"""
    rf"""(?i:(?<![\w-])--[\w-]*(?:{NAMES})\s+)(?!-)){VALUE}"""
    r"|(?i:\b(?:bearer|basic)\s+)(?=\S*[A-Z0-9=])[\w.~+/=-]{16,}"
    r"|(?<=://)[^\s/@]+(?=@)"  # the user and the password of a URL
    r"|(?<![\w-])(?:(?:hf_|gh[oprsu]_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-)[\w-]{10,}|sk-(?=[\w-]*\d)[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w.-]+)"
)
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class UnknownNameError(ValueError):
    """A look-up by name failed; the message suggests the nearest names and lists all."""

    def __init__(self, kind: str, given: object, valid: Iterable[str], hint: str = "") -> None:
        super().__init__(f"Unknown {kind} {shortened(given)}.{_nearest(given, valid)}{' ' + hint if hint else ''}")


def shortened(given: object) -> str:
    """Return the repr of what was given, cut short after a line."""
    text = repr(given)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class UnexpectedArgumentError(TypeError, ValueError):
    """A constructor does not take an argument of this name: bad input, but a TypeError in Python.

    Libraries that try an argument and catch the TypeError, as TorchRL's `GymEnv` does with `frameskip`, read its text.
    """


def _nearest(given: object, valid: Iterable[str]) -> str:
    """The names that may be meant and all valid names, as sentences."""
    names = sorted(valid)
    if not names:
        return " None is registered: names are known once their package is installed, not if it is only on the path."
    lowered = {name.lower(): name for name in names}
    near = [lowered[match] for match in get_close_matches(str(given).lower(), lowered, n=3, cutoff=0.5)]
    suggestion = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{suggestion} Valid: {', '.join(names)}."


def printable(text: str) -> str:
    """Return text on one line: line breaks, control characters and lone surrogates become escapes."""
    if text.isprintable():
        return text
    kept = (letter.isprintable() or unicodedata.category(letter) == "Zs" for letter in text)
    return "".join(
        letter if keep else letter.encode("unicode_escape").decode() for letter, keep in zip(text, kept, strict=True)
    )


def shareable(text: str) -> str:
    """Return text for records and pages: on one line, without what looks like a secret, `~` for the home folder."""
    text = SECRET.sub(lambda found: (found["kept"] or "") + HIDDEN, printable(text))
    for home in _homes():
        text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?=$|[^\w.-])", "~", text)
    return text


def with_home(text: str) -> str:
    """Return text with the home folder for each `~` that begins a path; the reverse of `shareable`."""
    return re.sub(r"(?:^|(?<=[:@=,\"']))~(?=[/\\])", lambda found: os.path.expanduser("~"), text)


def _homes() -> set[str]:
    """The names of the home folder, which may be a link; none if that is the whole disk."""
    home = os.path.expanduser("~")
    return {name for name in (home, os.path.realpath(home)) if os.path.isabs(name) and os.path.dirname(name) != name}


def one_line(error: BaseException) -> str:
    """Return an exception as one shareable line: its type and its message, as `short_message` has it."""
    text = short_message(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_message(error: BaseException) -> str:
    """Return the message of an exception as one shareable line, without its middle if it is long."""
    try:
        text = shareable(" ".join(str(error).split()))
    except Exception:  # a learner's own exception class may be broken too
        text = ""
    if len(text) > LONGEST_MESSAGE:
        half = LONGEST_MESSAGE // 2
        text = f"{text[:half]} … ({len(text) - LONGEST_MESSAGE:,} more characters) … {text[-half:]}"
    return text


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message; its type, if there is none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def check_choice(kind: str, given: str, valid: tuple[str, ...]) -> str:
    """Return `given` if it is one of `valid`."""
    if given not in valid:
        raise UnknownNameError(kind, given, valid)
    return given


def check_integer(name: str, given: object, low: int, high: int | None = None, why: str = "") -> int:
    """Return `given` as an int if it is a whole number in [low, high]."""
    is_whole = hasattr(given, "__index__") and not isinstance(given, bool)
    if not is_whole or given < low or (high is not None and given > high):  # type: ignore[operator]
        allowed = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
        raise ValueError(f"{name}={shortened(given)} is not allowed: give {allowed}{' (' + why + ')' if why else ''}.")
    return int(given)  # type: ignore[call-overload]


def check_bool(name: str, given: object) -> bool:
    """Return `given` as a bool if it is True or False."""
    if given not in (True, False):
        raise ValueError(f"{name}={shortened(given)} is not allowed: give True or False.")
    return bool(given)


def check_fraction(name: str, given: float) -> float:
    """Return `given` as a float if it lies in [0, 1]."""
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 <= given <= 1:
        raise ValueError(f"{name}={shortened(given)} is not allowed: give a number from 0 to 1.")
    return float(given)


def check_number(name: str, given: float, low: float | None = None) -> float:
    """Return `given` as a float if it is finite and at least `low`."""
    is_finite = isinstance(given, Real) and not isinstance(given, bool) and abs(given) < float("inf")
    if not is_finite or (low is not None and given < low):
        allowed = "a finite number" if low is None else f"a finite number of at least {low}"
        raise ValueError(f"{name}={shortened(given)} is not allowed: give {allowed}.")
    return float(given)


def check_positive(name: str, given: float) -> float:
    """Return `given` as a float if it is finite and above 0."""
    if isinstance(given, bool) or not isinstance(given, Real) or not 0 < given < float("inf"):
        raise ValueError(f"{name}={shortened(given)} is not allowed: give a finite number above 0.")
    return float(given)


def construct(made: Callable[..., Any], arguments: dict[str, Any], title: str = "", *, also: Iterable[str] = ()) -> Any:
    """Call a constructor; an argument that it does not take, or that is missing, is named in the error.

    Args:
        made: the constructor.
        arguments: by name.
        title: what the error calls it; by default its name.
        also: further valid arguments, which the caller has taken already.
    """
    title = title or getattr(made, "__name__", repr(made))
    try:
        parameters = inspect.signature(made).parameters
    except ValueError:  # of a class in C
        raise ValueError(f"{title} is not a class in Python whose arguments are known: give another.") from None
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in arguments:
        if name not in parameters and not takes_any:
            valid = {*parameters, *also}
            takes = _nearest(name, valid) if valid else " It takes none."
            raise UnexpectedArgumentError(f"{title} got an unexpected keyword argument {shortened(name)}.{takes}")
    required = [name for name, p in parameters.items() if p.default is p.empty and p.kind not in VARIADIC]
    if missing := [name for name in required if name not in arguments]:
        raise ValueError(f"{title} needs {' and '.join(missing)}: give values or defaults.")
    return made(**arguments)


class MissingDataError(ValueError):
    """The files of a dataset are missing; the message explains how to get them."""


class DamagedDataError(ValueError):
    """A file is damaged or not what its name promises; the message explains what to do."""
