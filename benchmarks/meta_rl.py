"""Learning to learn from reward: a Transformer trained here against stable-baselines3's RecurrentPPO, on equal time.

    python benchmarks/meta_rl.py --seconds 120

All see the same environment and are scored on the same unseen episodes (test images), playing greedily. RecurrentPPO
(sb3-contrib) is an LSTM policy with its authors' defaults over `Sb3VecEnv`, except that a roll-out is a whole episode
in each of 16 environments and a minibatch a quarter of it: with minibatches of 128 it completed only one roll-out in
that time. Ours are `train_from_reward` with the Transformer with similarity bias and a GRU; with bandit feedback, RL².
"""

import argparse
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback

import gpicl_envs  # noqa: F401
from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.gru import GRU
from gpicl_agents.models.rl2 import RL2, RL2Transformer
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.roll_out import roll_out
from gpicl_envs.evaluation.intervals import accuracy_interval
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.wrappers.sb3 import Sb3VecEnv
from machine import write_result

SETTINGS: dict[str, dict[str, Any]] = {
    "label": {"feedback": "label", "n_classes": 10, "length": 100},
    "reward": {"feedback": "reward", "n_classes": 5, "length": 50},
}
ENVS, PPO_ENVS, EPISODES, SEED = 64, 16, 512, 31_000_000
SIMILARITY: dict[str, Any] = {"width": 128, "n_layers": 2, "mlp_width": 256, "similarity_bias": 10.0}


def main() -> None:
    """Train and score each learner on each kind of feedback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    seconds = parser.parse_args().seconds
    result: dict[str, Any] = {
        "seconds": seconds,
        "episodes": EPISODES,
        "environment": "GPICL-MNIST-v0",
        "agents_envs": ENVS,
        "ppo_envs": PPO_ENVS,
    }
    for feedback, settings in SETTINGS.items():
        k = settings["n_classes"]
        agents: list[SequenceAgent] = [Transformer(784, k, **SIMILARITY), GRU(784, k, width=128)]
        if feedback == "reward":
            agents = [RL2Transformer(784, k, **SIMILARITY), RL2(784, k, width=128)]
        rows = {agent.name: ours(agent, settings, seconds) for agent in agents}
        rows["sb3 RecurrentPPO"] = recurrent_ppo(settings, seconds)
        result[feedback] = settings | {"chance": 1 / k, "learners": rows}
        print(feedback, rows, flush=True)
    write_result(Path(__file__), result)


def ours(agent: SequenceAgent, settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Train for some seconds, then score."""
    venv = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=ENVS, **settings)
    started = time.perf_counter()

    def stop_in_time(progress: Progress) -> None:
        if time.perf_counter() - started > seconds:
            progress.stopped = "time"

    # So many steps that the learning rate stays at its peak, and no time for evaluations.
    config = RewardConfig(steps=10**6, learning_rate=3e-3, evaluate_every=0)
    steps = train_from_reward(agent, venv, config, report=stop_in_time).step
    used = time.perf_counter() - started
    test: Any = gymnasium.make_vec("GPICL-MNIST-v0", num_envs=ENVS, split="test", **settings).unwrapped
    test.reset(seed=SEED)
    rewards = [roll_out(agent, test, number, greedy=True).rewards for number in range(EPISODES // ENVS)]
    return row(torch.cat(rewards).numpy(), used, steps, steps * ENVS * settings["length"])


def recurrent_ppo(settings: dict[str, Any], seconds: float) -> dict[str, Any]:
    """RecurrentPPO for the same time; roll-outs of whole episodes."""
    venv = Sb3VecEnv("GPICL-MNIST-v0", num_envs=PPO_ENVS, flatten=True, **settings)
    started = time.perf_counter()

    class Clock(BaseCallback):
        def _on_step(self) -> bool:
            return time.perf_counter() - started < seconds

    minibatch = PPO_ENVS * settings["length"] // 4
    model = RecurrentPPO("MlpLstmPolicy", venv, n_steps=settings["length"], batch_size=minibatch)
    model.learn(10**9, callback=Clock())
    used = time.perf_counter() - started
    test = Sb3VecEnv("GPICL-MNIST-v0", num_envs=ENVS, flatten=True, split="test", **settings)
    test.seed(SEED)
    rewards = []
    for _ in range(EPISODES // ENVS):
        observation: Any = test.reset()
        state, start, episode = None, np.ones(ENVS, bool), []
        for _ in range(settings["length"]):
            action, state = model.predict(observation, state=state, episode_start=start, deterministic=True)
            observation, reward, start, _ = test.step(action)
            episode.append(reward)
        rewards.append(np.stack(episode, 1))
    return row(
        np.concatenate(rewards), used, model.num_timesteps // (PPO_ENVS * settings["length"]), model.num_timesteps
    )


def row(rewards: np.ndarray[Any, Any], seconds: float, rollouts: int, examples: int) -> dict[str, Any]:
    """Accuracy in % [mean, low, high] over the last ten positions and at the first, and the size of the training."""
    final = accuracy_interval(rewards[:, -LAST:].mean(1), positions=LAST)
    return {
        "accuracy": [round(100 * float(value), 1) for value in (final.mean, final.low, final.high)],
        "first": round(100 * float(rewards[:, 0].mean()), 1),
        "training": {"seconds": round(seconds, 1), "rollouts": rollouts, "examples": examples},
    }


if __name__ == "__main__":
    main()
