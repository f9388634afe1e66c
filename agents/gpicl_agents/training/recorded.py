"""The tasks that a checkpoint was meta-trained on, from its record."""

import inspect
from dataclasses import fields, replace
from typing import Any

from gpicl_agents.training.checkpoint import CONFIG, Folder, find_checkpoint, read_config
from gpicl_envs.errors import MissingDataError
from gpicl_envs.registration import rl_environments
from gpicl_envs.rl.kinds import PROBLEMS, make_problems
from gpicl_envs.rl.problems import ProblemDistribution
from gpicl_envs.rl.wrapped_problems import WrappedProblems
from gpicl_envs.tasks import make_tasks
from gpicl_envs.tasks.classification import TaskDistribution
from gpicl_envs.tasks.regression import FunctionDistribution


def recorded_kwargs(folder: Folder, **changes: Any) -> dict[str, Any]:
    """Return the arguments of the distribution that a checkpoint was meta-trained on.

    Args:
        folder: a checkpoint or run folder. One of synthetic tables or a mixture counts as meta-trained on MNIST, with
            the arguments that both have.
        **changes: arguments that replace those of the checkpoint.

    Raises:
        ValueError: together they make no tasks; the message names the checkpoint's file.
    """
    where, problem = _read(folder)
    distribution = FunctionDistribution if "function" in problem else TaskDistribution
    names = inspect.signature(distribution).parameters.keys() - {"device", "route"}
    kwargs = {} if "function" in problem else {"dataset": "MNIST"}
    kwargs |= {name: value for name, value in problem.items() if name in names} | changes
    try:
        make_tasks(**kwargs)
    except MissingDataError:
        raise
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error
    return kwargs


def recorded_wrapping(folder: Folder, env: str | None = None, **changes: Any) -> WrappedProblems | None:
    """Return the problems that a policy was trained on, if they were made of an environment by wrappers; else None.

    Args:
        folder: a checkpoint or run folder.
        env: id of another environment, of which problems are made in the same way, with projections never trained on;
            of the arguments of the environment, none carries over.
        **changes: arguments of the environment.

    Raises:
        ValueError: the arguments make no problems; the message names the checkpoint's file.
    """
    where, record = _read(folder)
    if "trials" not in record:
        return None
    names = [one.name for one in fields(WrappedProblems)]
    try:
        made = WrappedProblems(**{name: record[name] for name in names if name in record})
        if env in (None, made.env):
            return replace(made, env_kwargs=made.env_kwargs | changes)
        trials = None if env in rl_environments() else made.n_episodes
        return replace(made, env=env, trials=trials, n_projections=None, env_kwargs=changes)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}" if env is None else str(error)) from error


def recorded_problems(folder: Folder, *, device: str = "cpu", **changes: Any) -> ProblemDistribution | None:
    """Return the in-context RL problems that a checkpoint was meta-trained on; None if it was trained on others.

    Args:
        folder: a checkpoint or run folder.
        device: where the problems are made.
        **changes: arguments that replace those of the checkpoint.

    Raises:
        ValueError: its environment is of another package, or its arguments make no problems; the message names the
            checkpoint's file.
    """
    where, record = _read(folder)
    if "env" not in record:
        return None
    known = rl_environments()
    if record["env"] not in known:
        raise ValueError(
            f"{where}: it was trained on {record['env']!r}, whose problems cannot be made again: give one of "
            f"{', '.join(known)} (--env)."
        )
    kind = known[record["env"]].arguments["problem"]
    names = inspect.signature(PROBLEMS[kind]).parameters.keys() - {"device"}
    try:
        given = {name: value for name, value in record.items() if name in names}
        return make_problems(kind, device=device, **given | changes)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def _read(folder: Folder) -> tuple[str, dict[str, Any]]:
    """Where a checkpoint records what it was trained on, for errors, and the record."""
    checkpoint = find_checkpoint(folder)
    return f"{checkpoint / CONFIG}, training.problem", read_config(checkpoint)["training"].get("problem", {})
