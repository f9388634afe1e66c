"""`gpicl check`: does a learner keep the protocol?"""

import tyro
from rich.console import Console

from gpicl_envs.commands.arguments import Assignments, parse


def check(learner: tyro.conf.Positional[str], set: Assignments = (), seed: int = 0) -> None:
    """Check that a learner keeps the protocol, above all that it cannot see the future.

    Examples: `gpicl check my_agent:MyAgent`; `gpicl check knn --set k=3`.

    Args:
        learner: registered name, module:Class or checkpoint folder.
        set: arguments of the learner, such as k=3.
        seed: of the trial data.
    """
    from gpicl_envs.learner import make_learner
    from gpicl_envs.testing import check_learner

    console = Console()
    made = make_learner(learner, **parse(set))
    check_learner(made, seed=seed)
    console.print(f"{made.name} keeps the protocol: causal, deterministic, step and predict agree.", highlight=False)
