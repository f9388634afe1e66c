"""Players by name."""

from gpicl_envs.errors import check_choice
from gpicl_envs.rl.players.base import Player, UniformPlayer
from gpicl_envs.rl.problems import ProblemDistribution

PLAYERS: dict[str, type[Player]] = {player.name: player for player in (UniformPlayer,)}


def make_player(text: str, made: ProblemDistribution) -> Player:
    """Return the player of that name for these problems.

    Args:
        text: its name.
        made: the problems.

    Raises:
        ValueError: the name is unknown, or the player cannot play them.
    """
    player = PLAYERS[check_choice("player", text, tuple(PLAYERS))]()
    player.check_can_play(made)
    return player
