"""`gpicl`: one command a file in `commands/`, and what they have in common when input is bad."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import tyro

from gpicl_envs.commands.benchmark import benchmark
from gpicl_envs.commands.check import check
from gpicl_envs.commands.data import data
from gpicl_envs.commands.envs import envs
from gpicl_envs.commands.evaluate import evaluate
from gpicl_envs.commands.experiment import experiment
from gpicl_envs.commands.play import play
from gpicl_envs.commands.quickstart import quickstart
from gpicl_envs.commands.report import report
from gpicl_envs.commands.train import train
from gpicl_envs.commands.train_sb3 import train_sb3
from gpicl_envs.commands.verdict import verdict

COMMANDS: dict[str, Callable[..., Any]] = {
    "quickstart": quickstart,
    "envs": envs,
    "play": play,
    "data": data,
    "train": train,
    "train-sb3": train_sb3,
    "evaluate": evaluate,
    "benchmark": benchmark,
    "report": report,
    "experiment": experiment,
    "check": check,
    "verdict": verdict,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; bad input ends with one line on standard error and exit code 2."""
    sys.path.insert(0, os.getcwd())  # so that module:Class finds the user's own files
    try:
        tyro.extras.subcommand_cli_from_dict(
            dict(COMMANDS), prog="gpicl", description="In-context learning as an environment.", args=arguments
        )
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: what was written before is kept")
    except (ValueError, AssertionError, FloatingPointError, OSError, gymnasium.error.Error) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
