"""Policies of stable-baselines3 as players: the same actions as in their own library, scored beside ours."""

import doctest
from typing import Any

import pytest
import torch

pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")

from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

from gpicl_baselines.adapters import sb3_player
from gpicl_baselines.adapters.sb3_player import Sb3Player
from gpicl_envs.rl.bandit import Bandit
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.players.base import CannotPlayError
from gpicl_envs.wrappers.sb3 import Sb3VecEnv

LENGTH, B = 5, 3
SMALL = {"n_arms": 3, "length": LENGTH}


def make(recurrent: bool, flatten: bool, num_envs: int = B, **arguments: Any) -> Any:
    """An untrained model whose policy clearly prefers some actions to others."""
    venv = Sb3VecEnv("GPICL-Bandit-v0", num_envs=num_envs, flatten=flatten, **(SMALL | arguments))
    kind, name = (RecurrentPPO, "LstmPolicy") if recurrent else (PPO, "Policy")
    small: dict[str, Any] = {"lstm_hidden_size": 8} if recurrent else {"net_arch": [8]}
    settings: dict[str, Any] = {"n_steps": LENGTH, "batch_size": num_envs * LENGTH, "seed": 0, "policy_kwargs": small}
    model = kind(("Mlp" if flatten else "MultiInput") + name, venv, **settings)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(1000)
    return model


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("recurrent", [False, True])
def test_it_plays_as_the_policy_plays_in_its_own_library(recurrent: bool, flatten: bool):
    """On the same problems: number 0 of streams 0, 1 and 2."""
    model = make(recurrent, flatten, split="test")
    model.env.seed(0)
    observation, state, start, expected = model.env.reset(), None, torch.ones(B).numpy(), []
    for _ in range(LENGTH):
        action, state = model.predict(observation, state, start, deterministic=True)
        observation, reward, start, _ = model.env.step(action)
        expected.append(torch.from_numpy(reward))
    made = Bandit(split="test", **SMALL)
    for seed in range(B):
        (curve,) = evaluate_players([Sb3Player(model.policy, greedy=True)], made, problems=1, seed=seed)
        assert curve.rewards[0].tolist() == torch.stack(expected, 1)[seed].tolist()


def test_it_draws_from_the_policy_with_the_generator_of_the_evaluation():
    """The evaluation refuses a player that does not repeat itself; of two equal arms, each is drawn half the time."""
    model = make(recurrent=True, flatten=False, n_arms=2)
    torch.nn.init.zeros_(model.policy.action_net.weight)
    player = Sb3Player(model.policy, name="mine")
    (curve,) = evaluate_players([player], Bandit(n_arms=2, length=LENGTH, split="test"), problems=400)
    assert curve.player == "mine" and curve.n_parameters > 100
    assert curve.total_return.low < LENGTH / 2 < curve.total_return.high


def test_a_trained_policy_earns_more_than_chance():
    """On one bandit, which is learned by heart."""
    fixed = {"n_tasks": 1, "n_arms": 2}
    model = make(recurrent=False, flatten=False, num_envs=16, **fixed)
    torch.nn.init.zeros_(model.policy.action_net.weight)
    model.learning_rate, model.n_epochs = 1e-2, 10
    model._setup_lr_schedule()
    model.learn(16 * LENGTH * 10)
    made = Bandit(length=LENGTH, **fixed)
    best = float(made.best_return(made.sample(1)).item())
    mean = float(made.sample(1).hidden["p"].mean())
    (curve,) = evaluate_players([Sb3Player(model.policy)], made, problems=200)
    assert curve.rewards.mean() > (best + mean) / 2


@pytest.mark.parametrize("flatten", [False, True])
def test_problems_of_other_sizes_are_refused(flatten: bool):
    player = Sb3Player(make(False, flatten).policy)
    player.check_can_play(Bandit(n_arms=3))
    with pytest.raises(CannotPlayError, match="has A = 4 actions: play it on the problems that it was trained on"):
        player.check_can_play(Bandit(n_arms=4))


def test_the_example_runs():
    found = doctest.testmod(sb3_player)
    assert found.attempted > 0 and found.failed == 0
