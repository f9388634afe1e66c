"""Players by name."""

from pathlib import Path

import pytest
import torch
from playing import returns

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.dark_room import DarkRoom
from gpicl_envs.rl.kinds import PROBLEMS
from gpicl_envs.rl.players.bandit import UCB1, BestArm, EpsilonGreedy
from gpicl_envs.rl.players.dark_room import ShortestPath
from gpicl_envs.rl.players.registry import PLAYERS, make_player, players_of
from gpicl_envs.rl.players.tabular_mdp import EpsilonGreedyModel
from gpicl_envs.rl.tabular_mdp import TabularMDP


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody else."""
    (tmp_path / "somebodys_players.py").write_text(
        "from gpicl_envs.rl.players.base import UniformPlayer\n"
        "class Lazy(UniformPlayer):\n"
        "    name = 'lazy'\n"
        "    def __init__(self, action=0): self.action = action\n"
        "    def act(self, state, observation): return observation['x'][:, 0].long() * 0 + self.action, state\n"
        "class NoPlayer: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "somebodys_players"


def test_a_name_means_the_class_of_the_kind_of_problem():
    assert type(make_player("best", Bandit())) is BestArm and type(make_player("best", DarkRoom())) is ShortestPath
    assert type(make_player("epsilon-greedy", Bandit())) is EpsilonGreedy
    assert type(make_player("epsilon-greedy", TabularMDP())) is EpsilonGreedyModel


def test_names_are_unique_for_each_kind_and_every_kind_has_its_players():
    for problem in PROBLEMS:
        of_kind = [player for player in PLAYERS if not player.problems or problem in player.problems]
        assert len(players_of(problem)) == len(of_kind) and {"uniform", "best"} < players_of(problem).keys()
    assert all(player.problems == () or set(player.problems) <= PROBLEMS.keys() for player in PLAYERS)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_player_plays_a_problem_to_its_end_and_repeats_itself(problem: str):
    made = PROBLEMS[problem](n_tasks=3)
    for name in players_of(problem):
        first, second = (returns(make_player(name, made), made, 3) for _ in range(2))
        assert torch.equal(first, second) and first.shape == (3, made.n_episodes)


def test_arguments_follow_after_commas_and_keywords_replace_them():
    assert make_player("ucb1,bonus=0.2", Bandit()).bonus == 0.2
    assert make_player("ucb1,bonus=0.2", Bandit(), bonus=0.3).bonus == 0.3
    assert type(make_player("ucb1", Bandit())) is UCB1


def test_a_class_of_somebody_else_is_a_player(plug_in: str):
    made = Bandit(length=5)
    player = make_player(f"{plug_in}:Lazy,action=2", made)
    assert player.name == "lazy" and player.action == 2 and returns(player, made, 2).shape == (2, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "thomson-sampling",
            "Unknown player of Bandit 'thomson-sampling'. Did you mean 'thompson-sampling'.*Valid: best",
        ),
        ("psrl", "Unknown player of Bandit 'psrl'.*module:Class"),
        ("ucb1,bonus", "'bonus' is not an assignment"),
        ("ucb1,c=2", "UCB1 got an unexpected keyword argument 'c'"),
        ("nowhere:Player", "Player 'nowhere:Player': there is no module"),
        ("somebodys_players:NoPlayer", "is a NoPlayer, not a Player"),
        ("gpicl_envs.rl.players.dark_room:SystematicSearch", "search plays DarkRoom, not Bandit"),
    ],
)
def test_bad_input_is_refused(plug_in: str, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        make_player(text, Bandit())
