"""Text → players: registered names, classes of the user's, and meta-trained agents."""

from typing import Any, NamedTuple

from torch.nn import Module

from gpicl_envs.errors import UnknownNameError, construct
from gpicl_envs.learners.registry import LearnerSpec, learner_targets
from gpicl_envs.rl.players.base import CannotPlayError, Player
from gpicl_envs.rl.players.registry import PLAYERS, make_player, players_of
from gpicl_envs.rl.problems import ProblemDistribution


class FoundPlayer(NamedTuple):
    """A player, and the sha256 of its text, code and weights."""

    player: Player
    fingerprint: str


def require_player(text: str) -> None:
    """Raise ValueError, with the valid names, if nothing has this name or path; imports nothing of the player's."""
    if _name(text) in _names():
        return
    spec = LearnerSpec.parse(text)
    if not spec.scheme and spec.target not in learner_targets() and not set(spec.target) & set(":/\\"):
        hint = "Or give module:Class of a Player, or the folder of an agent that `gpicl train-rl` trained."
        raise UnknownNameError("player", text, _names(), hint)
    spec.require()


def find_player(text: str, made: ProblemDistribution) -> FoundPlayer:
    """Turn a description into a player of these problems, on their device.

    A learner, such as a checkpoint's, can be played if it has a method `as_player(made)` that returns a `Player`.

    Args:
        text: the name of a player, `module:Class` of a `Player`, a checkpoint folder, `pretrained:NAME`, or whatever
            else `LearnerSpec` reads; arguments follow after commas.
        made: the distribution of problems.

    Raises:
        CannotPlayError: the player is made for other problems.
        ValueError: there is nothing of that name, or it cannot act.
    """
    require_player(text)
    spec = LearnerSpec.parse(text)
    if (name := _name(text)) in _names():
        if name not in players_of(made.name):
            raise CannotPlayError(
                f"{name} does not play {made.name}: choose one of {', '.join(sorted(players_of(made.name)))}."
            )
        player = make_player(text, made)
        return FoundPlayer(player, spec.fingerprint(player))
    is_class = not spec.scheme and spec.target not in learner_targets()
    source = construct(spec.factory, spec.kwargs) if is_class else spec.make()
    player = source if isinstance(source, Player) else _as_player(text, source, made)
    player.check_can_play(made)
    return FoundPlayer(player, spec.fingerprint(source))


def _names() -> set[str]:
    """The names of the players of any problem."""
    return {player.name for player in PLAYERS}


def _name(text: str) -> str:
    return text.partition(",")[0]


def _as_player(text: str, source: Any, made: ProblemDistribution) -> Player:
    """The player that a learner makes of itself."""
    if not callable(getattr(source, "as_player", None)):
        names = ", ".join(sorted(players_of(made.name)))
        raise ValueError(
            f"{text!r} is a {type(source).__name__}, which cannot act: it is no gpicl_envs.Player, and has no method "
            f"as_player(made). Give {names}, module:Class of a Player, or the folder of an agent that `gpicl train-rl` "
            "trained."
        )
    if isinstance(source, Module):
        source.to(made.device)
    player = source.as_player(made)
    if not isinstance(player, Player):
        raise ValueError(f"{text!r}: as_player(made) returned a {type(player).__name__}, not a gpicl_envs.Player.")
    return player
