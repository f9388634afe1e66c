"""What tests of `gpicl` share: a process as a user starts it, the one line of an error, and an agent of the user's."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpicl_envs.cli import main

AGENT = """
import torch
from gpicl_envs import Learner

class Nearest(Learner):
    "Sums of similarities."
    def predict(self, x, y):
        return (x @ x.mT).tril(-1) @ torch.nn.functional.one_hot(y, self.n_classes).float()

class Stumbles(Learner):
    def predict(self, x, y):
        raise KeyError("no key")

class NotMade(Learner):
    def __init__(self):
        raise TypeError("not today")
    predict = Stumbles.predict

class SixtyFour(Nearest):
    "Has a fixed number of positions, as a GPT-2."
    def __init__(self, n_features=784, n_classes=10, length=64):
        super().__init__(n_features, n_classes)
        self.length = length
    def predict(self, x, y):
        torch.zeros(self.length)[torch.arange(y.shape[1])]
        return super().predict(x, y)

class Cheat(Learner):
    def predict(self, x, y):
        return torch.nn.functional.one_hot(y, self.n_classes).float()
"""

RUN = """
import json, sys
from gpicl_envs.cli import main
sys.path.remove("")  # as the installed command
for expected, *line in json.loads(sys.argv[1]):
    try:
        code = 0
        main(line)
    except SystemExit as stop:
        code = stop.code or 0
    if code != expected:
        sys.exit(f"{line} ended with code {code}")
"""


def run(*arguments: object, cwd: Path | None = None, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user does."""
    command = Path(sys.executable).with_name("gpicl")
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(command), *map(str, arguments)],
        capture_output=True,
        encoding=encoding,
        cwd=cwd,
        env=environment,
        timeout=250,
    )


def run_in_one_process(
    commands: Sequence[Sequence[object]], cwd: Path, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other in a process of its own, whose exit code is 0 if theirs are as given.

    Args:
        commands: each begins with its expected exit code.
        cwd: the folder.
        encoding: of the output.
    """
    lines = [[code, *map(str, arguments)] for code, *arguments in commands]
    return subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(lines)],
        capture_output=True,
        encoding=encoding,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        timeout=250,
    )


def check_error(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command line must end with exit code 2 and one line on standard error that holds the message."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(line))
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
