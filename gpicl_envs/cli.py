"""`gpicl`: finds a command by its entry point, parses its options, and reports bad input in one line.

A command is a function: tyro turns its parameters into options and its docstring into help. A command whose only
parameter has the type `Words` parses the rest of the line itself, as `gpicl train` does: its first word, a preset, sets
the defaults of all options.
"""

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from io import TextIOWrapper
from typing import Any

import gymnasium
import tyro

from gpicl_envs import __version__
from gpicl_envs.commands.arguments import Words
from gpicl_envs.errors import UnknownNameError, printable

COMMANDS_GROUP = "gpicl.commands"
POINTS = entry_points(group=COMMANDS_GROUP)


def commands() -> dict[str, Callable[..., Any]]:
    """Return name → command; a package adds commands by entry points of the group `gpicl.commands`."""
    return {point.name: point.load() for point in sorted(POINTS)}


def run_command(name: str, words: Sequence[str]) -> None:
    """Run a command by name with the words that follow it; an unknown name lists the valid ones."""
    if name not in POINTS.names:
        raise UnknownNameError("command", name, POINTS.names)
    command: Callable[..., Any] = POINTS[name].load()
    if [p.annotation for p in inspect.signature(command).parameters.values()] == [Words]:
        command(Words(words))
    else:
        tyro.cli(command, prog=f"gpicl {name}", args=words)


def overview() -> str:
    """Return what `gpicl --help` prints: every command, with the first line of its docstring."""
    known = commands()
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {(command.__doc__ or '').splitlines()[0]}" for name, command in known.items()]
    usage = "usage: gpicl COMMAND [OPTIONS], gpicl COMMAND --help, or gpicl --version"
    return "\n".join([usage, "\nIn-context learning as an environment.\n", *lines])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; for bad input, print one line to standard error and exit with code 2.

    SIGTERM, by which schedulers and containers end a process, is like Ctrl-C: both exit with code 130.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.path.insert(0, os.getcwd())  # so that module:Class finds the user's own files
    for stream in (sys.stdout, sys.stderr):  # what the terminal's encoding lacks is escaped, and ends no run
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    name, *words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("-h", "--help"):
            print(overview())
        elif name == "--version":
            print(f"gpicl-envs {__version__}")
        else:
            run_command(name, words)
    except KeyboardInterrupt:
        print("\ninterrupted: what was written before is kept", file=sys.stderr)
        sys.exit(130)
    except (ValueError, AssertionError, FloatingPointError, OSError, gymnasium.error.Error) as error:
        print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
