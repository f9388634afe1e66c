"""`gpicl check`: whether a learner is causal and consistent."""

import tyro

from gpicl_envs.commands.arguments import Assignments, one_line_errors, show, show_progress
from gpicl_envs.learners.registry import make_learner, parse_assignments
from gpicl_envs.registration import find_environment


def check(
    learner: tyro.conf.Positional[str],
    learner_kwargs: Assignments = (),
    env: str | None = None,
    env_kwargs: Assignments = (),
    seed: int = 0,
) -> None:
    """Check that a learner does what the interface promises, above all that it cannot see the future.

    On episodes as long as the environment's, so that one with too few positions fails here and not in training.

    Examples: `gpicl check my_agent:MyAgent`; `gpicl check knn,k=3 --env GPICL-Digits-v0 --env-kwargs length=500`.

    Args:
        learner: registered name, module:Class or checkpoint folder, with arguments after commas: knn,k=3.
        learner_kwargs: arguments of the learner, such as k=3.
        env: environment id that the learner is to meet; without it, D = 784, K = 10, and 100 examples.
        env_kwargs: arguments that define its tasks, such as length=500.
        seed: of the trial data.
    """
    from gpicl_envs.learners.check import check_fit, check_learner
    from gpicl_envs.tasks import make_tasks
    from gpicl_envs.tasks.base import LENGTH
    from gpicl_envs.tasks.oracle import Oracle

    if env is None and env_kwargs:
        raise ValueError("--env-kwargs are those of an environment: give --env too, such as --env GPICL-MNIST-v0.")
    if learner == Oracle.name:
        raise ValueError("The oracle knows the hidden tasks, so it is no learner: give it to `gpicl evaluate` alone.")
    given = parse_assignments(learner_kwargs)
    with one_line_errors(learner):
        if env is None:
            made, length = make_learner(learner, **given), LENGTH
        else:
            tasks = make_tasks(**find_environment(env).arguments | parse_assignments(env_kwargs))
            made, length = make_learner(learner, tasks=tasks, **given), tasks.length
            check_fit(made, tasks)
        check_learner(made, length=max(2, length), seed=seed, report=show_progress)
    show(f"{made.name} passes the check on {length} examples: causal, deterministic, step and predict agree.")
