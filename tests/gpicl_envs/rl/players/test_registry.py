import pytest

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.registry import make_player, players_of


def test_every_player_of_bandits_is_made_by_name():
    for name in players_of("Bandit"):
        assert make_player(name, Bandit()).name == name


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="Unknown player of Bandit 'nobody'.*uniform"):
        make_player("nobody", Bandit())
