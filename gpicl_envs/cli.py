"""`gpicl`: finds a command by its entry point, and ends bad input with one line."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

import gymnasium
import tyro

from gpicl_envs.errors import UnknownNameError

COMMANDS_GROUP = "gpicl.commands"


def commands() -> dict[str, Callable[..., Any]]:
    """Return name → command; a package adds one with an entry point of the group `gpicl.commands`."""
    return {point.name: point.load() for point in sorted(entry_points(group=COMMANDS_GROUP))}


def find_command(name: str) -> Callable[..., Any]:
    """Return a command by name; an unknown name lists the valid ones."""
    points = entry_points(group=COMMANDS_GROUP)
    if name not in points.names:
        raise UnknownNameError("command", name, points.names)
    found: Callable[..., Any] = points[name].load()
    return found


def overview() -> str:
    """Return what `gpicl --help` prints: every command, with the first line of its docstring."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {(command.__doc__ or '').splitlines()[0]}" for name, command in known.items()]
    usage = "usage: gpicl COMMAND [OPTIONS], or gpicl COMMAND --help\n\nIn-context learning as an environment.\n"
    return "\n".join([usage, *lines])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; bad input ends with one line on standard error and exit code 2."""
    sys.path.insert(0, os.getcwd())  # so that module:Class finds the user's own files
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("-h", "--help"):
            print(overview())
        else:
            tyro.cli(find_command(name), prog=f"gpicl {name}", args=rest)
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: what was written before is kept")
    except (ValueError, AssertionError, FloatingPointError, OSError, gymnasium.error.Error) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
