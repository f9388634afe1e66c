"""Players by name, by class, and of learners that make one of themselves."""

import sys
from pathlib import Path

import pytest
from small_players import MODULE

from gpicl_envs.learners import registry
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.base import CannotPlayError, Player
from gpicl_envs.rl.players.find import find_player, require_player

MADE = Bandit()


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Players of the user's, on the import path."""
    (tmp_path / "own_players.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_players", raising=False)
    return tmp_path / "own_players.py"


def test_a_name_a_class_and_a_learner_become_players():
    assert find_player("uniform", MADE).player.name == "uniform"
    assert find_player("own_players:Last", MADE).player.name == "win-stay"
    found = find_player("own_players:Agent", MADE)
    assert isinstance(found.player, Player) and found.player.name == "win-stay"


def test_a_registered_learner_that_can_act_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry._registered, "own-agent", "own_players:Agent")
    assert find_player("own-agent", MADE).player.name == "win-stay"


def test_changed_code_is_another_fingerprint(module: Path, monkeypatch: pytest.MonkeyPatch):
    first = find_player("own_players:Last", MADE).fingerprint
    assert find_player("own_players:Last", MADE).fingerprint == first
    assert find_player("own_players:Draws", MADE).fingerprint != first
    module.write_text(MODULE.replace("last + 1", "last + 2"))
    monkeypatch.delitem(sys.modules, "own_players")
    assert find_player("own_players:Last", MADE).fingerprint != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unifrom", "Unknown player 'unifrom'. Did you mean 'uniform'"),
        ("uniform,k=3", "unexpected keyword argument 'k'"),
        ("knn", "'knn' is a KNearestNeighbors, which cannot act: .* no method as_player"),
        ("runs/none", "There is no folder 'runs/none'"),
        ("own_players:Nobody", "Unknown class of module own_players 'Nobody'"),
        ("own_players:NoAgent", r"as_player\(made\) returned a NoAgent, not a gpicl_envs.Player"),
        ("fractions:Fraction", "is a Fraction, which cannot act"),
    ],
)
def test_what_cannot_be_played_is_one_clear_error(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        find_player(text, MADE)


def test_a_player_for_another_problem_says_so():
    with pytest.raises(CannotPlayError, match="of-mazes plays DarkRoom, not Bandit"):
        find_player("own_players:OfMazes", MADE)


def test_names_are_required_without_importing_anything():
    require_player("own_players:Nobody")
    with pytest.raises(ValueError, match="Unknown player 'nobody'"):
        require_player("nobody")
