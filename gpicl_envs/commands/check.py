"""`gpicl check`: whether a learner is causal and consistent."""

import traceback
from pathlib import Path

import tyro

from gpicl_envs.commands.arguments import Assignments, show
from gpicl_envs.learners.registry import make_learner, parse_assignments


def check(learner: tyro.conf.Positional[str], learner_kwargs: Assignments = (), seed: int = 0) -> None:
    """Check that a learner does what the interface promises, above all that it cannot see the future.

    Examples: `gpicl check my_agent:MyAgent`; `gpicl check knn,k=3`.

    Args:
        learner: registered name, module:Class or checkpoint folder, with arguments after commas: knn,k=3.
        learner_kwargs: arguments of the learner, such as k=3.
        seed: of the trial data.
    """
    from gpicl_envs.learners.calls import LearnerCheckError
    from gpicl_envs.learners.check import check_learner

    made = make_learner(learner, **parse_assignments(learner_kwargs))
    try:
        check_learner(made, seed=seed)
    except LearnerCheckError:
        raise
    except Exception as error:  # the learner's own code may raise anything
        raise LearnerCheckError(f"{made.name} raised {type(error).__name__}: {error} ({_place(error)}).") from error
    show(f"{made.name} passes the check: causal, deterministic, step and predict agree.")


def _place(error: Exception) -> str:
    """Where an exception was raised, outside of torch and other installed packages: file, line and its text."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"
