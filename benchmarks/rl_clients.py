"""Learning to explore bandits: our preset, stable-baselines3, TorchRL and one file of torch, trained for equal time.

    python benchmarks/rl_clients.py --seconds 60

All are trained on GPICL-Bandit-v0 and scored by `evaluate_players` on the same unseen problems, beside Thompson
sampling and uniform play, all drawing their actions. A roll-out is a whole problem in each environment, and a minibatch
a quarter of it. RecurrentPPO (sb3-contrib) reads the Dict through `Sb3VecEnv`: once with its authors' other defaults in
16 environments, and once with the settings of our preset, as far as it has them. TorchRL's PPO of a GRU has these
settings too (`torchrl_ppo.py`); the loop in the style of CleanRL is `examples/bandit_recurrent_ppo.py` with its own.
Seconds are those of training; players that need none have 0.
"""

import argparse
import runpy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import RecurrentPPO

from gpicl_agents.training.presets import REWARD_PRESETS
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.run_setup import set_up
from gpicl_baselines.adapters.sb3_player import Sb3Player
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.return_curve import ReturnCurve
from gpicl_envs.rl.evaluate import evaluate_players
from gpicl_envs.rl.players.base import Player
from gpicl_envs.rl.players.registry import make_player
from gpicl_envs.wrappers.sb3 import Sb3VecEnv
from machine import rounded, write_result
from torchrl_ppo import train_torchrl_ppo

ENV, PRESET, REFERENCE = "GPICL-Bandit-v0", REWARD_PRESETS["bandit"], "thompson-sampling"
DEFAULT_ENVS, EXAMPLE_ENVS = 16, 128  # of RecurrentPPO with its defaults, and of the example
TRIAL = 5  # iterations of the example that tell how many fit into the time
EXAMPLE = Path(__file__).parents[1] / "examples" / "bandit_recurrent_ppo.py"
PROBLEMS, SEED = 1000, 31_000_000


def main() -> None:
    """Train the policies, and score all players on the same problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of training, for each policy")
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    args = parser.parse_args()
    agent, venv = set_up(PRESET.spec, batch_size=PRESET.batch_size, env=ENV)
    made = venv.unwrapped.distribution.unseen()
    config = PRESET.config
    ours: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "n_epochs": config.epochs,
        "gamma": config.discount,
        "ent_coef": config.entropy,
        "vf_coef": config.value_weight * (1 - config.discount) ** 2,  # our critic's units are 1 / (1 − γ)
        "max_grad_norm": config.clip_norm,
        "policy_kwargs": {"lstm_hidden_size": PRESET.learner_kwargs["width"]},
    }
    trained = [
        train_preset(agent, venv, args.seconds),
        train_recurrent_ppo("sb3 RecurrentPPO", args.seconds, DEFAULT_ENVS, {}),
        train_recurrent_ppo("sb3 RecurrentPPO, our settings", args.seconds, PRESET.batch_size, ours),
        train_torchrl_ppo(ENV, args.seconds, PRESET.batch_size, PRESET.learner_kwargs["width"], config),
        train_example(args.seconds),
    ]
    players = [make_player(name, made) for name in (REFERENCE, "uniform")]
    known = [(player, {"seconds": 0.0, "steps": 0}) for player in players]
    rows = score([*known, *trained], made, args.problems)
    result = {"environment": ENV, "seconds": args.seconds, "problems": args.problems, "reference": REFERENCE}
    write_result(Path(__file__), result | {"best": best(made, args.problems), "players": rows})
    for name, row in rows.items():
        print(name, row)


def train_preset(agent: Any, venv: Any, seconds: float) -> tuple[Player, dict[str, Any]]:
    """Train our preset, whose schedule ends with the time; return its player and the size of the training."""
    config = replace(PRESET.config, steps=10**6, max_seconds=seconds, evaluate_every=0, checkpoint_every=0)
    started = time.perf_counter()
    steps = train_from_reward(agent, venv, config).step
    used = time.perf_counter() - started
    return agent.as_player(), {"seconds": round(used, 1), "steps": steps * venv.num_envs * venv.unwrapped.length}


def train_recurrent_ppo(
    name: str, seconds: float, num_envs: int, settings: dict[str, Any]
) -> tuple[Player, dict[str, Any]]:
    """Train RecurrentPPO for the same time; return its player and the size of the training."""
    venv = Sb3VecEnv(ENV, num_envs=num_envs)
    length = venv.env.unwrapped.length  # type: ignore[attr-defined]
    sizes: dict[str, Any] = {"n_steps": length, "batch_size": num_envs * length // 4}
    model = RecurrentPPO("MultiInputLstmPolicy", venv, seed=0, **sizes, **settings)
    started = time.perf_counter()
    model.learn(10**9, callback=lambda *_: time.perf_counter() - started < seconds)
    used = time.perf_counter() - started
    return Sb3Player(model.policy, name), {"seconds": round(used, 1), "steps": model.num_timesteps}


def train_example(seconds: float) -> tuple[Player, dict[str, Any]]:
    """Train the example's policy for as many iterations as fit into the time; the same for it."""
    torch.manual_seed(0)
    example: Any = runpy.run_path(str(EXAMPLE))
    env: Any = gymnasium.make_vec(ENV, num_envs=EXAMPLE_ENVS)
    made = env.unwrapped.distribution
    sizes = made.n_features + made.n_actions + 2, made.n_actions

    def seconds_of(policy: Any, iterations: int) -> float:
        started = time.perf_counter()
        example["train"](policy, env, iterations)
        return time.perf_counter() - started

    iterations = round(TRIAL * seconds / seconds_of(example["Policy"](*sizes), TRIAL))
    policy = example["Policy"](*sizes)
    used = seconds_of(policy, iterations)
    policy.name, policy.n_parameters = EXAMPLE.name, sum(weights.numel() for weights in policy.parameters())
    return policy, {"seconds": round(used, 1), "steps": iterations * EXAMPLE_ENVS * env.unwrapped.length}


def score(players: list[tuple[Player, dict[str, Any]]], made: Any, problems: int) -> dict[str, dict[str, Any]]:
    """Each player's return, its difference from the reference on the same problems, and the size of its training."""
    curves = evaluate_players([player for player, _ in players], made, problems=problems, seed=SEED)
    totals = {curve.player: curve.returns.sum(1) for curve in curves}
    rows = {}
    for curve, (player, training) in zip(curves, players, strict=True):
        beyond = mean_interval(totals[curve.player] - totals[REFERENCE])
        rows[curve.player] = {
            "return": rounded(curve.total_return),
            "beyond the reference": rounded(beyond),
            "first and last tenth": tenths(curve),
            "parameters": player.n_parameters,
            "training": training,
        }
    return rows


def tenths(curve: ReturnCurve) -> list[float]:
    """The mean reward in the first and in the last tenth of the steps."""
    size = curve.rewards.shape[1] // 10
    return [round(float(part.mean()), 3) for part in (curve.rewards[:, :size], curve.rewards[:, -size:])]


def best(made: Any, problems: int) -> float:
    """The mean return of the best arm, known from the start."""
    return round(float(np.mean(made.best_return(made.sample(problems, SEED)).numpy())) * made.n_episodes, 2)


if __name__ == "__main__":
    main()
