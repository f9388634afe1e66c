"""Environments of gymnasium as in-context problems, which tests share."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from gymnasium.vector import SyncVectorEnv

from gpicl_envs.wrappers import RandomProjection, Trials

IDS = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1")
SHORT = {"max_episode_steps": 8}
K, MAX_STEPS, D, A = 3, 21, 7, 4


class Odd(gymnasium.Env[Any, Any]):
    """Observations of all kinds that can be flattened; an episode has as many steps as its number, from 1 on."""

    def __init__(self) -> None:
        self.observation_space = Dict(
            {
                "place": Discrete(3, start=5),
                "parts": Tuple([Box(-1.0, 1.0, (2, 2), np.float64), MultiDiscrete([2, 3])]),
            }
        )
        self.action_space = Discrete(3, start=-1)
        self.episodes = self.steps = 0
        self.options: list[Any] = []

    def _observe(self) -> Any:
        numbers = np.full((2, 2), self.steps / 10)
        return {"place": np.int64(5 + self.steps % 3), "parts": (numbers, np.array([self.steps % 2, self.steps % 3]))}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episodes, self.steps = (0 if seed is not None else self.episodes) + 1, 0
        self.options.append(options)
        return self._observe(), {"begun": self.episodes}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self._observe(), 1.0 + float(action), self.steps == self.episodes, False, {"steps": self.steps}


def odd() -> gymnasium.Env[Any, Any]:
    return Odd()


def trials(env_id: str = "CartPole-v1", **arguments: Any) -> Trials:
    """Episodes of at most 8 steps, so that all of them end."""
    return Trials(gymnasium.make(env_id, **SHORT), **({"episodes": K, "max_steps": MAX_STEPS} | arguments))


def projected(env_id: str = "CartPole-v1", **arguments: Any) -> RandomProjection:
    return RandomProjection(trials(env_id), **({"n_features": D, "n_actions": A} | arguments))


def sync(env_id: str, num_envs: int, mode: Any) -> SyncVectorEnv:
    return SyncVectorEnv([lambda: gymnasium.make(env_id, **SHORT)] * num_envs, autoreset_mode=mode)


def play(env: Any, actions: Any) -> list[Any]:
    """Everything that a step shows, until the end of the problem."""
    shown: list[Any] = []
    for action in actions:
        shown.append(env.step(action))
        if shown[-1][2] or shown[-1][3]:
            break
    return shown
