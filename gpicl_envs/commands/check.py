"""`gpicl check`: whether a learner is causal and consistent."""

import tyro

from gpicl_envs.commands.arguments import Assignments, one_line_errors, show
from gpicl_envs.learners.registry import make_learner, parse_assignments


def check(learner: tyro.conf.Positional[str], learner_kwargs: Assignments = (), seed: int = 0) -> None:
    """Check that a learner does what the interface promises, above all that it cannot see the future.

    Examples: `gpicl check my_agent:MyAgent`; `gpicl check knn,k=3`.

    Args:
        learner: registered name, module:Class or checkpoint folder, with arguments after commas: knn,k=3.
        learner_kwargs: arguments of the learner, such as k=3.
        seed: of the trial data.
    """
    from gpicl_envs.learners.check import check_learner

    with one_line_errors(learner):
        made = make_learner(learner, **parse_assignments(learner_kwargs))
        check_learner(made, seed=seed)
    show(f"{made.name} passes the check: causal, deterministic, step and predict agree.")
