"""`gpicl envs`: list the environments."""

from rich.console import Console
from rich.table import Table

from gpicl_envs.commands.arguments import show
from gpicl_envs.registration import environments, rl_environments


def envs() -> None:
    """List the environments.

    Example: `gpicl envs`.
    """
    table = Table("id", "what is learned", box=None)
    for environment in (environments() | rl_environments()).values():
        table.add_row(environment.id, environment.description)
    Console().print(table)
    show("Arguments of gymnasium.make(id, ...): help(gpicl_envs.InContextVectorEnv), or the class of an RL problem.")
