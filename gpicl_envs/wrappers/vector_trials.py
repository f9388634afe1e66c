"""`VectorTrials`: `Trials` for vector environments of NumPy arrays, without a loop over the environments."""

from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gpicl_envs.envs.arrays import as_array
from gpicl_envs.envs.reset_arguments import parse_reset_mask
from gpicl_envs.errors import check_integer
from gpicl_envs.wrappers.base import Step, layers
from gpicl_envs.wrappers.flattening import check_flat, flatten_rows
from gpicl_envs.wrappers.infos import final_batch, masked, merged_infos, without_ends
from gpicl_envs.wrappers.masked_cartpole import MaskedCartPole
from gpicl_envs.wrappers.problem_format import action_rows, action_size, problem_space

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]


class VectorTrials(VectorWrapper):  # generic only since gymnasium 1.4
    """Make K episodes of each environment of a batch into one problem; see `gpicl_envs.wrappers.Trials`.

    Row i shows what `Trials` around the single environment with seed s + i shows, wherever the rows of the vector
    environment have seeds of their own, as in `SyncVectorEnv`; those of `CartPoleVectorEnv` share one random stream.

    | autoreset mode of the environment | the next episode begins by | mode of `VectorTrials` |
    |---|---|---|
    | `SAME_STEP` | itself | `SAME_STEP` |
    | `NEXT_STEP` | a reset of the ended rows alone, in the same step | `SAME_STEP` |
    | `DISABLED` | a reset of the ended rows alone, in the same step | `DISABLED`: the caller begins new problems |

    So the agent never meets a step whose action is ignored. The environment must obey
    `reset(options={"reset_mask": mask})`, as `SyncVectorEnv` and `AsyncVectorEnv` do, and `CartPoleVectorEnv` in
    `MaskedCartPole`, which is added to it.

    Hidden tasks that change with the problem belong to the single form: `SyncVectorEnv([lambda: Trials(...)] * B)`.

    Args:
        env: a vector environment of NumPy arrays.
        episodes: K.
        max_steps: the most steps of a problem; None for no limit.

    Raises:
        TypeError: observations or actions are of kinds that have no fixed number of numbers.
        ValueError: an argument or an action is out of range, or the environment ignores `reset_mask`.

    Example:
        >>> import gymnasium, numpy as np
        >>> env = gymnasium.make_vec("CartPole-v1", num_envs=256, vectorization_mode="vector_entry_point")
        >>> env = VectorTrials(env, episodes=10)
        >>> observation, info = env.reset(seed=0)
        >>> {key: value.shape for key, value in observation.items()}
        {'x': (256, 4), 'action': (256, 2), 'reward': (256, 1), 'start': (256, 1)}
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], episodes: int, *, max_steps: int | None = None) -> None:
        if isinstance(env, CartPoleVectorEnv):
            env = MaskedCartPole(env)
        super().__init__(env)
        self.episodes = check_integer("episodes", episodes, 1)
        self.max_steps = None if max_steps is None else check_integer("max_steps", max_steps, 1)
        inner = env.metadata.get("autoreset_mode")
        if not isinstance(inner, AutoresetMode):
            raise ValueError(
                f"{env}.metadata['autoreset_mode'] is {inner!r}: set gymnasium.vector.AutoresetMode.SAME_STEP, …."
            )
        obeying = SyncVectorEnv | AsyncVectorEnv | MaskedCartPole
        self._obeys_masks = any(isinstance(layer, obeying) for layer in layers(env))
        self._begins_itself = inner is AutoresetMode.SAME_STEP
        self.autoreset_mode = inner if inner is AutoresetMode.DISABLED else AutoresetMode.SAME_STEP
        self.metadata = env.metadata | {"autoreset_mode": self.autoreset_mode}
        n_features = check_flat("VectorTrials", env.single_observation_space)
        n_action = action_size("VectorTrials", env.single_action_space)
        self.single_observation_space = problem_space(n_features, n_action, env.single_action_space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._x = np.zeros((self.num_envs, n_features), np.float32)
        self._action = np.zeros((self.num_envs, n_action), np.float32)
        self._reward = np.zeros((self.num_envs, 1), np.float32)
        self._start = np.zeros((self.num_envs, 1), np.float32)
        self._number = np.zeros(self.num_envs, np.int64)  # of the episode in the problem
        self._steps = np.zeros(self.num_envs, np.int64)  # in the problem
        self._return = np.zeros(self.num_envs)
        self._returns = np.zeros((self.num_envs, self.episodes))
        self._is_over = np.ones(self.num_envs, bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Rows], dict[str, Any]]:
        """Begin new problems, in some environments only with `options={"reset_mask": (B,) bool array}`."""
        mask = parse_reset_mask(options, self.num_envs)
        others = {name: value for name, value in (options or {}).items() if name != "reset_mask"}
        if not mask.all():
            others["reset_mask"] = mask.copy()  # which SyncVectorEnv takes out of its options
        observation, info = self.env.reset(seed=seed, options=others or None)  # type: ignore[arg-type]
        x = flatten_rows(self.env.single_observation_space, observation)
        self._x = np.where(mask[:, None], x, self._x)
        self._begin_problems(mask)
        return self._observe(), info | self._facts(mask)

    def step(self, actions: Any) -> Step:
        """Take an action in each environment; where it ends an episode within the problem, begin the next one."""
        if self._is_over.any():
            raise ResetNeeded(
                f"step() before the first reset(), or after the end of the problem in environments "
                f"{np.flatnonzero(self._is_over).tolist()[:8]}: call reset(), or reset(options={{'reset_mask': mask}})."
            )
        self._action = action_rows(self.env.single_action_space, actions, self.num_envs)
        given = as_array(actions).astype(self.env.single_action_space.dtype)
        observation, reward, terminated, truncated, info = self.env.step(given)
        ended = np.asarray(terminated | truncated)
        self._count(reward, ended)
        terminated = ended & (self._number == self.episodes - 1)
        truncated = ~terminated & (self._steps == (self.max_steps or -1))
        return self._outcome(observation, reward, ended, terminated, truncated, info)

    def _count(self, reward: NDArray[Any], ended: Mask) -> None:
        self._reward = np.asarray(reward, np.float32)[:, None].copy()
        self._steps += 1
        self._return += reward
        rows = np.flatnonzero(ended)
        self._returns[rows, self._number[rows]] = self._return[rows]

    def _outcome(
        self, observation: Any, reward: Any, ended: Mask, terminated: Mask, truncated: Mask, info: dict[str, Any]
    ) -> Step:
        """Begin the episodes and problems that follow, and return what the step shows."""
        everywhere = np.ones(self.num_envs, bool)
        self._is_over = terminated | truncated
        self._start = np.zeros((self.num_envs, 1), np.float32)
        x_last, info_last, info = self._last(observation, ended, info)
        renews = self.autoreset_mode is AutoresetMode.SAME_STEP
        # What begins here by a reset: the rows that ended, if that is not done, and those that were cut short.
        begins = (self._is_over & ~ended) if self._begins_itself else (ended | self._is_over)
        self._x, info = self._begin_episodes(begins if renews else begins & ~self._is_over, info)
        within = ended & ~self._is_over
        ends: dict[str, Any] = {}
        if renews and self._is_over.any():
            final = {"x": x_last, "action": self._action, "reward": self._reward, "start": self._start}
            final_info = info_last | self._facts(everywhere)
            ends = {"final_obs": {key: value.copy() for key, value in final.items()}, "final_info": final_info}
            ends |= {f"_{name}": self._is_over.copy() for name in tuple(ends)}
        self._number[within] += 1
        self._return[within] = 0.0
        self._start[within] = 1.0
        if ends:
            self._begin_problems(self._is_over)
        return self._observe(), reward, terminated, truncated, info | self._facts(everywhere) | ends

    def _last(self, observation: Any, ended: Mask, info: dict[str, Any]) -> tuple[Rows, dict[str, Any], dict[str, Any]]:
        """Keep the observations of the step; return those (B, D) and the info before any episode began, and after."""
        space = self.env.single_observation_space
        self._x = flatten_rows(space, observation)
        if not self._begins_itself or not ended.any():
            return self._x, info, info
        first = without_ends(info)
        x_last = np.where(ended[:, None], flatten_rows(space, final_batch(observation, info, ended)), self._x)
        return x_last, merged_infos(first, info.get("final_info", {}), ended), first

    def _begin_episodes(self, mask: Mask, info: dict[str, Any]) -> tuple[Rows, dict[str, Any]]:
        """Reset the masked environments; return the observations (B, D) and the info after it."""
        if not mask.any():
            return self._x, info
        options = {"reset_mask": mask.copy()}
        observation, reset_info = self.env.reset(options=options)
        x = flatten_rows(self.env.single_observation_space, observation)
        if not self._obeys_masks and not np.array_equal(x[~mask], self._x[~mask], equal_nan=True):
            raise ValueError(
                f"{self.env} changes other observations too in reset(options={{'reset_mask': mask}}), which "
                "VectorTrials needs to begin episodes: use gymnasium's SyncVectorEnv, or autoreset mode SAME_STEP; put "
                "MaskedCartPole directly around CartPoleVectorEnv."
            )
        return np.where(mask[:, None], x, self._x), merged_infos(info, reset_info, mask)

    def _begin_problems(self, mask: Mask) -> None:
        for zeroed in (self._action, self._reward, self._number, self._steps, self._return, self._returns):
            zeroed[mask] = 0
        self._start[mask], self._is_over[mask] = 1.0, False

    def _observe(self) -> dict[str, Rows]:
        shown = {"x": self._x, "action": self._action, "reward": self._reward, "start": self._start}
        return {key: value.copy() for key, value in shown.items()}

    def _facts(self, mask: Mask) -> dict[str, Any]:
        return masked(mask, episode_number=self._number, episode_returns=self._returns)
