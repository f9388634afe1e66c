"""`gpicl envs`: list the environments."""

from rich.console import Console
from rich.table import Table

from gpicl_envs.registration import environments


def envs() -> None:
    """List the environments.

    Example: `gpicl envs`.
    """
    console = Console()
    table = Table("id", "what is learned", box=None)
    for environment in environments().values():
        table.add_row(environment.id, environment.description)
    console.print(table)
    console.print("Arguments of gymnasium.make(id, ...): see help(gpicl_envs.InContextVectorEnv).", highlight=False)
