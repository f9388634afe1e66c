"""Vector wrappers in torch, since gymnasium's own compute in NumPy and fail on tensors.

They work in all three autoreset modes and after `reset(options={"reset_mask": ...})`, compute on the environment's
device, and pickle with their state.
"""

import time
from collections import deque
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.spaces.utils import flatten_space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch.nn.functional import one_hot

from gpicl_envs.envs.arrays import as_tensor
from gpicl_envs.sampling.torch_modes import in_plain_mode
from gpicl_envs.wrappers.base import Step, TorchVectorWrapper, device_of, reset_mask, to_numpy
from gpicl_envs.wrappers.single import with_action_and_reward


class RecordEpisodeStatistics(TorchVectorWrapper):
    """Add the return, length and duration of every episode to the info of the step that ends it, in torch.

    At such a step the info holds `episode`: {`r`: (B,) sum of rewards, `l`: (B,) number of steps, `t`: (B,) seconds}
    and the mask `_episode` (B,) of the environments that ended; the others have zeros. Names, places and meaning are
    those of `gymnasium.wrappers.vector.RecordEpisodeStatistics`.

    Args:
        env: a vector environment that returns tensors.
        buffer_length: how many of the last episodes the queues keep.
        stats_key: the key in the info.

    Attributes:
        episode_count: how many episodes have ended.
        return_queue: returns of the last episodes, as floats.
        length_queue: lengths of the last episodes.
        time_queue: durations of the last episodes, in seconds.

    Example:
        >>> import gymnasium, gpicl_envs, torch
        >>> env = RecordEpisodeStatistics(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, length=3))
        >>> _ = env.reset(seed=0)
        >>> infos = [env.step(torch.tensor([1, 2]))[-1] for _ in range(3)]
        >>> infos[-1]["episode"]["l"], "episode" in infos[0]
        (tensor([3, 3]), False)
    """

    @in_plain_mode
    def __init__(self, env: VectorEnv[Any, Any, Any], buffer_length: int = 100, stats_key: str = "episode") -> None:
        super().__init__(env)
        self._stats_key = stats_key
        self._same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        self._returns = torch.zeros(self.num_envs, dtype=torch.float32, device="cpu")
        self._lengths = torch.zeros(self.num_envs, dtype=torch.int64, device="cpu")
        self._start: NDArray[np.float64] = np.zeros(self.num_envs)  # seconds
        # What ended in the last step and has not been reset, on the device; on the CPU too if anything ended.
        self._ended = torch.zeros(self.num_envs, dtype=torch.bool, device="cpu")
        self._ended_cpu: NDArray[np.bool_] | None = None
        self.episode_count = 0
        self.return_queue: deque[float] = deque(maxlen=buffer_length)
        self.length_queue: deque[int] = deque(maxlen=buffer_length)
        self.time_queue: deque[float] = deque(maxlen=buffer_length)

    @in_plain_mode
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes, with statistics of zero."""
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        mask = reset_mask(options, self.num_envs)
        self._forget(mask, mask.to(device_of(observation)))
        return observation, info

    @in_plain_mode
    def step(self, actions: Any) -> Step:
        """Step, and add the statistics of the episodes that end."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        # A step that only begins an episode (NEXT_STEP) does not count.
        self._returns = torch.where(self._ended, 0.0, self._returns + reward)
        self._lengths = torch.where(self._ended, 0, self._lengths + 1)
        now = time.perf_counter()
        if self._ended_cpu is not None:
            self._start[self._ended_cpu] = now
        self._ended, self._ended_cpu = terminated | truncated, None
        # With SAME_STEP the info itself shows whether anything ended, without waiting for the device.
        if ("final_obs" in info) if self._same_step else bool(self._ended.any()):
            self._record(info, now)
        return observation, reward, terminated, truncated, info

    def _record(self, info: dict[str, Any], now: float) -> None:
        """Write the statistics of the ended episodes into the info and the queues."""
        if self._stats_key in info:
            raise ValueError(
                f"The info has {self._stats_key!r} already: apply RecordEpisodeStatistics once, or give another "
                "stats_key."
            )
        ended = self._ended
        ended_cpu = ended.cpu()
        self._ended_cpu = ended_cpu.numpy()
        seconds = torch.from_numpy(now - self._start).float()
        info[self._stats_key] = {
            "r": torch.where(ended, self._returns, 0.0),
            "l": torch.where(ended, self._lengths, 0),
            "t": torch.where(ended_cpu, seconds, 0.0).to(ended.device),
        }
        info[f"_{self._stats_key}"] = ended.clone()
        self.episode_count += int(ended_cpu.sum())
        self.return_queue.extend(self._returns[ended].tolist())
        self.length_queue.extend(self._lengths[ended].tolist())
        self.time_queue.extend(seconds[ended_cpu].tolist())
        if self._same_step:  # the new episodes have begun
            self._forget(ended_cpu, ended)

    def _forget(self, mask_cpu: torch.Tensor, mask: torch.Tensor) -> None:
        """Reset the statistics of the masked environments, given the same mask on the CPU and on the device."""
        self._returns = torch.where(mask, 0.0, self._returns.to(mask.device))
        self._lengths = torch.where(mask, 0, self._lengths.to(mask.device))
        self._ended = self._ended.to(mask.device) & ~mask
        self._start[mask_cpu.numpy()] = time.perf_counter()
        if self._ended_cpu is not None:
            self._ended_cpu = self._ended_cpu & ~mask_cpu.numpy()


class TorchToNumpy(TorchVectorWrapper):
    """Return everything as NumPy arrays, including what is nested in the infos.

    Gymnasium's vector wrappers (`RecordEpisodeStatistics`, `NormalizeReward`, `DictInfoToList`, …) then take the
    environment. On the CPU nothing is copied. Actions may be arrays or tensors.

    Args:
        env: a vector environment that returns tensors.

    Example:
        >>> import gymnasium, gpicl_envs
        >>> env = TorchToNumpy(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2))
        >>> observation, info = env.reset(seed=0)
        >>> type(observation["x"]).__name__, type(info["task_id"]).__name__
        ('ndarray', 'ndarray')
    """

    returns_tensors = False

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes."""
        return to_numpy(self.env.reset(seed=seed, options=options))  # type: ignore[arg-type]

    def step(self, actions: Any) -> Step:
        """Step with NumPy actions."""
        return to_numpy(self.env.step(actions))


class FlattenObservation(TorchVectorWrapper):
    """Flatten a Dict of observations to rows (B, D + K): x, then y, in the order of the Dict's keys.

    The numbers are those of `gymnasium.wrappers.FlattenObservation` around the single environment.

    Args:
        env: a vector environment that returns a Dict of tensors, each with a Box.

    Example:
        >>> import gymnasium, gpicl_envs
        >>> env = FlattenObservation(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2, n_features=8))
        >>> tuple(env.reset(seed=0)[0].shape)
        (2, 18)
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        space = env.single_observation_space
        if not isinstance(space, Dict) or not all(isinstance(inner, Box) for inner in space.spaces.values()):
            raise TypeError(f"FlattenObservation needs a Dict of Box observations, given {space}.")
        self._keys = tuple(space.spaces)
        self.single_observation_space = flatten_space(space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    @in_plain_mode
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Begin new episodes."""
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._flat(observation), info

    @in_plain_mode
    def step(self, actions: Any) -> Step:
        """Step; `final_obs` is flat too."""
        observation, *outcome, info = self.env.step(actions)
        if "final_obs" in info:
            info["final_obs"] = self._flat(info["final_obs"])
        return self._flat(observation), *outcome, info

    def _flat(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([observation[key].flatten(1) for key in self._keys], 1)


class PreviousActionAndReward(TorchVectorWrapper):
    """Add the previous actions and rewards to the observations, as RL² agents read them, in torch.

    The numbers are those of `gpicl_envs.wrappers.PreviousActionAndReward`: `action` (B, K) and `reward` (B, 1), zeros
    at the first step of an episode; `final_obs` holds those of the last.

    Args:
        env: a vector environment with a Dict of observations as tensors, and Discrete or Box actions.

    Example:
        >>> import gymnasium, gpicl_envs, torch
        >>> env = PreviousActionAndReward(gymnasium.make_vec("GPICL-Digits-v0", num_envs=2))
        >>> _ = env.reset(seed=0)
        >>> env.step(torch.tensor([1, 2]))[0]["action"].argmax(1)
        tensor([1, 2])
    """

    @in_plain_mode
    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.single_observation_space = with_action_and_reward(env.single_observation_space, env.single_action_space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        n_action = self.single_observation_space["action"].shape[0]  # type: ignore[index]
        self._action = torch.zeros(self.num_envs, n_action, dtype=torch.float32, device="cpu")
        self._reward = torch.zeros(self.num_envs, 1, dtype=torch.float32, device="cpu")
        self._ended = torch.zeros(self.num_envs, dtype=torch.bool, device="cpu")

    @in_plain_mode
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Begin new episodes, with zeros as their previous action and reward."""
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        device = device_of(observation)
        self._action, self._reward = self._action.to(device), self._reward.to(device)
        mask = reset_mask(options, self.num_envs).to(device)
        self._forget(mask)
        self._ended = self._ended.to(device) & ~mask
        return self._shown(observation), info

    @in_plain_mode
    def step(self, actions: Any) -> Step:
        """Step, and add these actions and their rewards to the observations that follow them."""
        observation, reward, terminated, truncated, info = self.env.step(actions)
        given = as_tensor(actions, reward.device)
        if isinstance(self.single_action_space, Discrete):
            n = int(self.single_action_space.n)
            given = one_hot(given.long().clamp(0, n - 1), n)  # an action that is not read may be any number
        self._action, self._reward = given.float().clone(), reward[:, None].clone()
        self._forget(self._ended)
        self._ended = terminated | truncated
        if "final_obs" in info:
            info["final_obs"] = self._shown(info["final_obs"])
            self._forget(self._ended)
            self._ended = torch.zeros_like(self._ended)
        return self._shown(observation), reward, terminated, truncated, info

    def _forget(self, mask: torch.Tensor) -> None:
        self._action = torch.where(mask[:, None], 0.0, self._action)
        self._reward = torch.where(mask[:, None], 0.0, self._reward)

    def _shown(self, observation: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return observation | {"action": self._action.clone(), "reward": self._reward.clone()}
