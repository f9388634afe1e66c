"""Text → players: `make_player("ucb1,bonus=0.2", made)`."""

from typing import Any

from gpicl_envs.errors import UnknownNameError, construct
from gpicl_envs.learners.registry import find_class, parse_assignments, split_outside_brackets
from gpicl_envs.rl.players import bandit, dark_room, tabular_mdp
from gpicl_envs.rl.players.base import Player, UniformPlayer
from gpicl_envs.rl.problems import ProblemDistribution

PLAYERS: tuple[type[Player], ...] = (
    UniformPlayer,
    *(bandit.EpsilonGreedy, bandit.ThompsonSampling, bandit.UCB1, bandit.GittinsIndex, bandit.BestArm),
    *(tabular_mdp.EpsilonGreedyModel, tabular_mdp.PSRL, tabular_mdp.BayesianExplorationBonus, tabular_mdp.KnownModel),
    *(dark_room.SystematicSearch, dark_room.ShortestPath),
)


def players_of(problem: str) -> dict[str, type[Player]]:
    """Return the players of a kind of problem, such as `"Bandit"`, by name, the uniform one first."""
    return {player.name: player for player in PLAYERS if not player.problems or problem in player.problems}


def make_player(text: str, made: ProblemDistribution, **kwargs: Any) -> Player:
    """Turn a description into a player of these problems.

    Args:
        text: a name of `players_of(made.name)`, or `"module:Class"`; arguments follow after commas, as in
            `"ucb1,bonus=0.2"`.
        made: the problems. The same name, such as `"best"`, is another class for another kind.
        **kwargs: arguments of the constructor; they replace those in the text.

    Raises:
        ValueError: the name is unknown (the message lists the known ones), the player cannot play these problems, or
            an argument is not allowed.
    """
    name, *assignments = split_outside_brackets(text, ",")
    known = players_of(made.name)
    if name in known:
        factory: Any = known[name]
    elif ":" in name:
        factory = find_class(name, "Player")
    else:
        raise UnknownNameError(f"player of {made.name}", name, known, "Or give module:Class.")
    player = construct(factory, parse_assignments(assignments) | kwargs)
    if not isinstance(player, Player):
        raise ValueError(
            f"Player {text!r} is a {type(player).__name__}, not a Player: derive the class from "
            "gpicl_envs.rl.players.base.Player."
        )
    player.check_can_play(made)
    return player
