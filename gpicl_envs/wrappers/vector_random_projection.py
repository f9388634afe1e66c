"""`VectorRandomProjection`: `RandomProjection` for vector environments of NumPy arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gpicl_envs.envs.reset_arguments import parse_reset_mask, parse_seeds
from gpicl_envs.wrappers.base import Step
from gpicl_envs.wrappers.infos import final_batch, masked
from gpicl_envs.wrappers.projections import Projections

Observation = dict[str, NDArray[np.float32]]


class VectorRandomProjection(VectorWrapper):  # generic only since gymnasium 1.4
    """Project observations and map actions anew in each problem of a batch; see `gpicl_envs.wrappers.RandomProjection`.

    Row i, seeded with s, has the projections of the single environment seeded with s + i. All three autoreset modes of
    the environment stay what they are.

    Args:
        env: a vector environment of NumPy arrays with observations x, action, reward and start: `VectorTrials`, a
            `SyncVectorEnv` of `Trials`, or `TorchToNumpy` around an id of `gpicl_envs.rl`.
        n_features: D.
        n_actions: A, at least the environment's number of actions, which is the default.
        n_projections: n for a fixed set of projections, of which each problem has one; None for endless ones.
        projection_seed: seed of the fixed set.
        mean: N_x numbers that are subtracted from x.
        std: N_x numbers by which x is then divided.

    Raises:
        TypeError: the environment is no in-context RL problem, or its actions have no finite bounds.
        ValueError: an argument is out of range.

    Example:
        >>> import gymnasium
        >>> from gpicl_envs.wrappers import VectorRandomProjection, VectorTrials
        >>> env = gymnasium.make_vec("CartPole-v1", num_envs=256, vectorization_mode="vector_entry_point")
        >>> env = VectorRandomProjection(VectorTrials(env, episodes=10), n_features=16)
        >>> env.reset(seed=0)[0]["x"].shape
        (256, 16)
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        n_features: int,
        n_actions: int | None = None,
        *,
        n_projections: int | None = None,
        projection_seed: int = 0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(env)
        self.autoreset_mode = env.metadata["autoreset_mode"]
        self.projections = Projections(
            *(env.single_observation_space, env.single_action_space, self.num_envs, n_features, n_actions),
            *(n_projections, projection_seed, mean, std),
        )
        self.single_observation_space = self.projections.observation_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.single_action_space = self.projections.action_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._action = np.zeros((self.num_envs, self.projections.action_maps.n_actions), np.float32)
        self._ended = np.zeros(self.num_envs, bool)  # in the last step, and not begun anew

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin new problems with new random maps, in some environments only if there is a mask."""
        mask = parse_reset_mask(options, self.num_envs)
        given = None if options is None else dict(options)  # SyncVectorEnv takes the mask out of it
        observation, info = self.env.reset(seed=seed, options=given)  # type: ignore[arg-type]
        self._begin(mask, parse_seeds(seed, self.num_envs))
        return self._shown(observation), info | self._told(mask)

    def step(self, actions: Any) -> Step:
        """Take the actions that the agents' stand for."""
        everywhere = np.ones(self.num_envs, bool)
        self._action = self.projections.action_maps.shown(actions, self.num_envs)
        taken = self.projections.to_environment(self._action)
        observation, reward, terminated, truncated, info = self.env.step(taken)
        if self._ended.any() and self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._begin(self._ended)
        self._ended = np.asarray(terminated | truncated)
        ends: dict[str, Any] = {}
        if self._ended.any() and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = self._shown(final_batch(observation, info, self._ended))
            ends = {"final_obs": final, "final_info": info["final_info"] | self._told(self._ended)}
            self._begin(self._ended)
        return self._shown(observation), reward, terminated, truncated, info | self._told(everywhere) | ends

    def _begin(self, mask: NDArray[np.bool_], seeds: Sequence[int | None] | None = None) -> None:
        self.projections.redraw(mask, seeds)
        self._action = np.where(mask[:, None], np.float32(0.0), self._action)
        self._ended = self._ended & ~mask

    def _shown(self, observation: Observation) -> Observation:
        x = self.projections.project(observation["x"])
        return observation | {"x": x, "action": self._action.copy()}

    def _told(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        return masked(mask, projection_id=self.projections.ids)
