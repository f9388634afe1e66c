"""`Sb3VecEnv`: the vector environment for stable-baselines3 and sb3-contrib. Needs `gpicl-envs[rl]`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from gpicl_envs.wrappers.base import layers, made_or_given
from gpicl_envs.wrappers.vector import FlattenObservation, RecordEpisodeStatistics, TorchToNumpy

try:
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError(
        "gpicl_envs.wrappers.sb3 needs stable-baselines3, which is not installed: pip install 'gpicl-envs[rl]'."
    ) from error

Observation = NDArray[np.float32] | dict[str, NDArray[np.float32]]


class Sb3VecEnv(VecEnv):
    """A batch of in-context learning problems with the interface of stable-baselines3: one call steps them all.

    Environments reset by themselves. At the end of an episode the info of its environment holds `terminal_observation`,
    `TimeLimit.truncated` and `episode` = {`r`: return, `l`: length, `t`: seconds}, from which SB3 logs
    `rollout/ep_rew_mean` without a `Monitor`; otherwise the infos are empty. Environment i, seeded with s, is the
    single environment seeded with s + i.

    Args:
        env: an id, or a vector environment of tensors in autoreset mode SAME_STEP, which may have wrappers of
            `gpicl_envs.wrappers.vector`.
        num_envs: B, with an id.
        flatten: whether an observation is one row of D + K numbers (`"MlpPolicy"`), not a Dict (`"MultiInputPolicy"`).
        action_bound: largest magnitude of logits and values, since SB3 needs finite bounds; logits in ±10 give
            probabilities as small as e^(−20).
        **arguments: with an id, those of `gymnasium.make_vec`.

    Raises:
        ImportError: when this module is imported without stable-baselines3.
        ValueError: a vector environment has another autoreset mode, or comes with arguments that make one.

    Example:
        >>> from stable_baselines3 import PPO
        >>> model = PPO("MlpPolicy", Sb3VecEnv("GPICL-Digits-v0", num_envs=8, flatten=True), n_steps=32, batch_size=64)
        >>> model.learn(256).num_timesteps
        256
    """

    def __init__(
        self,
        env: str | VectorEnv[Any, Any, Any],
        num_envs: int | None = None,
        *,
        flatten: bool = False,
        action_bound: float = 10.0,
        **arguments: Any,
    ) -> None:
        why = "SB3's environments reset in the step that ends an episode"
        env = made_or_given("Sb3VecEnv", env, num_envs, arguments, AutoresetMode.SAME_STEP, why)
        if not action_bound > 0 or not np.isfinite(action_bound):
            raise ValueError(f"action_bound={action_bound!r} is not allowed: give a finite number above 0.")
        env = RecordEpisodeStatistics(env)
        self.env = TorchToNumpy(FlattenObservation(env) if flatten else env)
        self._actions: NDArray[Any] | None = None
        super().__init__(
            env.num_envs, self.env.single_observation_space, _bounded(env.single_action_space, action_bound)
        )

    def reset(self) -> Observation:
        """Begin new episodes, the first time with the seeds given to `seed()`; return the observations."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observation, info = self.env.reset(seed=seeds)
        self._set_reset_infos(info)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions, (B,) labels, (B, K) logits or (B, 1) values, for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step with the kept actions. Returns observations, (B,) rewards, (B,) ends and B infos."""
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        # Separate dicts, because wrappers may write into them; 256 of them cost ten microseconds.
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if "final_obs" not in info:
            return observation, reward, terminated, infos
        done = terminated | truncated
        final, episode = info["final_obs"], info["episode"]
        for i in np.flatnonzero(done).tolist():
            infos[i] = {
                "terminal_observation": _row(final, i),
                "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                "episode": {"r": float(episode["r"][i]), "l": int(episode["l"][i]), "t": float(episode["t"][i])},
            }
        self._set_reset_infos(info)
        return observation, reward, done, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return a picture of each environment, with `render_mode="rgb_array"`."""
        if self.render_mode != "rgb_array":
            raise ValueError(
                f"Pictures need Sb3VecEnv(..., render_mode='rgb_array'), given render_mode={self.render_mode!r}."
            )
        return list(self.env.render())  # type: ignore[arg-type]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return the attribute of the vector environment once for each environment."""
        value = getattr(self._holder(attr_name), attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set the attribute of the vector environment, for all of its environments."""
        if len({*self._get_indices(indices)}) != self.num_envs:
            raise ValueError(
                f"The environments of one batch share {attr_name!r}: set it for all of them, with indices=None, "
                f"given indices={indices}."
            )
        setattr(self._holder(attr_name), attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call the method of the vector environment once; return its B results, or its one result B times."""
        result = getattr(self._holder(method_name), method_name)(*method_args, **method_kwargs)
        is_batch = isinstance(result, tuple) and len(result) == self.num_envs
        return [result[i] if is_batch else result for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return, for each environment, whether the vector environment has a wrapper of this class.

        Of `Monitor` it has what that wrapper adds: the infos hold the returns of episodes as they were, which
        `evaluate_policy` then reports, not sums of rewards that a `VecNormalize` has changed.
        """
        found = wrapper_class is Monitor or any(isinstance(layer, wrapper_class) for layer in layers(self.env))
        return [found for _ in self._get_indices(indices)]

    def _holder(self, name: str) -> Any:
        """The outermost layer that has the attribute; the vector environment if none has."""
        return next((layer for layer in layers(self.env) if hasattr(layer, name)), self.env.unwrapped)

    def _set_reset_infos(self, info: dict[str, Any]) -> None:
        """Set what SB3 keeps of the infos of resets."""
        self.reset_infos = [{"task_id": task_id} for task_id in info["task_id"].tolist()]


def _row(observation: Observation, i: int) -> Observation:
    if isinstance(observation, dict):
        return {name: value[i] for name, value in observation.items()}
    return observation[i]


def _bounded(space: Any, bound: float) -> Any:
    """The action space, with infinite bounds made ±bound."""
    if not isinstance(space, Box):
        return space
    return Box(space.low.clip(-bound), space.high.clip(max=bound), dtype=np.float32)
