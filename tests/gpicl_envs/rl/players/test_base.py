"""What players have in common, and the uniform player."""

import gymnasium
import pytest
import torch

from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.players.base import CannotPlayError, KnowingPlayer, UniformPlayer


def test_uniform_play_earns_half_of_all_pulls():
    venv = gymnasium.make_vec("GPICL-Bandit-v0", num_envs=500, autoreset_mode="Disabled")
    observation, player = venv.reset(seed=0)[0], UniformPlayer()
    state, total = player.start(venv.unwrapped.distribution, 500, torch.Generator().manual_seed(0)), 0.0
    for _ in range(100):
        actions, state = player.act(state, observation)
        observation, reward, *_ = venv.step(actions)
        total += reward.mean().item()
    assert total == pytest.approx(50, abs=2)  # standard error: about 0.6
    assert (observation["action"].mean(0) - 0.2).abs().max() < 0.08


def test_a_player_of_one_kind_refuses_another():
    class OfMazes(UniformPlayer):
        name, problems = "of-mazes", ("DarkRoom",)

    with pytest.raises(CannotPlayError, match="of-mazes plays DarkRoom, not Bandit"):
        OfMazes().check_can_play(Bandit())
    UniformPlayer().check_can_play(Bandit())


def test_who_has_to_know_says_so():
    class Knows(KnowingPlayer):
        name = "knows"

        def start_knowing(self, made, problems, generator):
            return None

        def act(self, state, observation):
            return observation["action"].argmax(1), state

    with pytest.raises(ValueError, match="knows has to be told"):
        Knows().start(Bandit(), 2, torch.Generator())
