"""Text → players."""

from typing import Any

from gpicl_envs.errors import UnknownNameError, construct
from gpicl_envs.learners.registry import OUTER_COMMA, parse_assignments
from gpicl_envs.rl.players.base import Player, UniformPlayer
from gpicl_envs.rl.problems import ProblemDistribution

PLAYERS: tuple[type[Player], ...] = (UniformPlayer,)


def players_of(problem: str) -> dict[str, type[Player]]:
    """Return the players of a kind of problem, such as `"Bandit"`, by name."""
    return {player.name: player for player in PLAYERS if not player.problems or problem in player.problems}


def make_player(text: str, made: ProblemDistribution, **kwargs: Any) -> Player:
    """Turn a description into a player of these problems.

    Args:
        text: a name of `players_of(made.name)`; arguments follow after commas.
        made: the problems.
        **kwargs: arguments of the constructor; they replace those in the text.

    Raises:
        ValueError: the name is unknown (the message lists the known ones), or an argument is not allowed.
    """
    name, *assignments = OUTER_COMMA.split(text)
    known = players_of(made.name)
    if name not in known:
        raise UnknownNameError(f"player of {made.name}", name, known)
    player: Player = construct(known[name], parse_assignments(assignments) | kwargs)
    return player
