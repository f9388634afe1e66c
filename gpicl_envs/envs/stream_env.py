"""`StreamVectorEnv`, the base of all vector environments: streams of episodes, and three autoreset modes.

A subclass says how episodes begin (`_begin`), what an action does (`_act`) and what is seen (`_observe`).
"""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gpicl_envs.envs.reset_arguments import parse_reset_mask, parse_seeds
from gpicl_envs.errors import check_choice, check_integer
from gpicl_envs.rendering.modes import BATCH_RENDER_MODES, RENDER_FPS
from gpicl_envs.sampling.philox import UInt64Array
from gpicl_envs.sampling.torch_modes import in_plain_mode

Tensors = dict[str, torch.Tensor]


class StreamVectorEnv(VectorEnv[Tensors, Any, Any]):
    """A batch of environments, as torch tensors on one device, whose episodes are of N steps and end together or apart.

    `reset(seed=s)` gives environment i the seed s + i; its episodes 0, 1, 2, … are functions of that seed alone. So row
    i shows the same numbers as a single environment with seed s + i, whatever the size of the batch.

    Args:
        num_envs: B.
        autoreset_mode: an `AutoresetMode` or its value.
        render_mode: None, `"rgb_array"` or `"ansi"`.
    """

    metadata: dict[str, Any] = {"render_modes": list(BATCH_RENDER_MODES), "render_fps": RENDER_FPS}
    device: torch.device
    length: int  # N
    env_id: str

    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode | str, render_mode: str | None) -> None:
        self.num_envs = check_integer("num_envs", num_envs, 1)
        if render_mode == "human":
            raise ValueError(
                "render_mode='human' shows one episode, in a window: give it to gymnasium.make; for a picture of each "
                "environment of a batch, give 'rgb_array' or 'ansi'."
            )
        self.render_mode = None if render_mode is None else check_choice("render_mode", render_mode, BATCH_RENDER_MODES)
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, tuple(mode.value for mode in AutoresetMode))
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self._seeds: UInt64Array = np.random.SeedSequence().generate_state(num_envs, np.uint64).astype(np.uint64)
        self._numbers = np.zeros(num_envs, np.uint64)  # of the next episode in each stream
        self._position = np.full(num_envs, -1)  # steps taken in the current episode; −1 before the first reset
        self._common: int | None = -1  # position of all environments; None if they differ, which takes masks
        self._everyone, self._nobody = np.ones(num_envs, bool), np.zeros(num_envs, bool)

    def _set_spaces(self, observation_space: Space[Any], action_space: Space[Any]) -> None:
        """Keep the spaces of one environment, and those of the batch."""
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)

    # -- What a subclass provides -------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _task_id(self) -> torch.Tensor:
        """(B,) the ids of the hidden tasks."""

    @abstractmethod
    def _begin(self, mask: NDArray[np.bool_]) -> None:
        """Begin the next episode in the masked environments, by `_take_numbers`, and `_move_to` position 0."""

    @abstractmethod
    def _act(self, actions: Any, active: NDArray[np.bool_]) -> tuple[torch.Tensor, Tensors]:
        """Act in the active environments, which are all if positions are common, and `_move_to` the next positions.

        Returns:
            (B,) float32 rewards, 0 where inactive, and what the info of active environments shows, each (B, …).
        """

    @abstractmethod
    def _observe(self) -> Tensors:
        """The current observations, in memory of their own."""

    @abstractmethod
    def render_one(self, i: int, mode: str) -> Any:
        """Return a picture of environment i: a (height, width, 3) uint8 array for `"rgb_array"`, else a string."""

    # -- Gymnasium's interface ----------------------------------------------------------------------------------------

    @in_plain_mode
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensors, dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: s gives environment i the stream s + i; a list gives each one a stream; None continues the streams.
            options: `{"reset_mask": (B,) bool array}` begins new episodes in these environments only.

        Returns:
            Observations, and info {task_id: (B,)}.
        """
        mask = parse_reset_mask(options, self.num_envs)
        if not mask.all() and self._common == -1:
            raise ResetNeeded("reset_mask selects only some environments before the first reset(): call reset() first.")
        for i, one in enumerate(parse_seeds(seed, self.num_envs)):
            if one is not None and mask[i]:
                self._seeds[i], self._numbers[i] = one, 0
        self._begin(mask)
        return self._observe(), self._info(mask, task_id=self._task_id)

    @in_plain_mode
    def step(self, actions: Any) -> tuple[Tensors, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Take a step in every environment.

        Args:
            actions: B actions of the action space, a tensor or an array.

        Returns:
            Observations, rewards (B,) float32, terminations and truncations (B,) bool, and info.

        Raises:
            ResetNeeded: before the first reset, or after the end with autoreset disabled.
            ValueError: an action is not in the action space.
        """
        ended = self._awaiting_autoreset()
        active, shown = ~ended, Tensors()
        if self._common == self.length:
            reward = torch.zeros(self.num_envs, dtype=torch.float32, device=self.device)
        else:
            reward, shown = self._act(actions, active)
        if ended.any():
            self._begin(ended)
        last = active & self._at(self.length)
        observation, info, terminated = self._observe(), self._step_info(active, shown), self._on_device(last)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and last.any():
            final = {"final_obs": observation, "final_info": info, "_final_obs": terminated, "_final_info": terminated}
            self._begin(last)
            observation, info = self._observe(), self._step_info(active & ~last, shown) | final
        return observation, reward, terminated, torch.zeros_like(terminated), info

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture of each environment: (height, width, 3) uint8 arrays or strings, by `render_mode`."""
        if self.render_mode is None:
            return None
        return tuple(self.render_one(i, self.render_mode) for i in range(self.num_envs))

    # -- For subclasses -----------------------------------------------------------------------------------------------

    def _awaiting_autoreset(self) -> NDArray[np.bool_]:
        """(B,) the environments that have ended, and only begin a new episode in this step (NEXT_STEP)."""
        if self._common == -1:
            raise ResetNeeded("step() before the first reset(): call reset() first.")
        ended = self._at(self.length)
        if ended.any() and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            raise ResetNeeded(
                f"step() after the end of the episode in environments {np.flatnonzero(ended).tolist()[:8]}: call "
                'reset(), or reset(options={"reset_mask": mask}) for these alone.'
            )
        return ended

    def _at(self, position: int) -> NDArray[np.bool_]:
        """(B,) the environments at this position; not to be written to."""
        if self._common is None:
            return self._position == position
        return self._everyone if self._common == position else self._nobody

    def _move_to(self, position: NDArray[np.int64]) -> None:
        """Keep the new positions (B,)."""
        first = int(position[0])
        self._position, self._common = position, first if (position == first).all() else None

    def _take_numbers(self, mask: NDArray[np.bool_]) -> tuple[UInt64Array, UInt64Array]:
        """The seeds and numbers of the next episodes of the masked streams, which move on."""
        seeds, numbers = self._seeds[mask], self._numbers[mask]
        self._numbers[mask] += np.uint64(1)
        return seeds, numbers

    def _step_info(self, active: NDArray[np.bool_], shown: Tensors) -> dict[str, Any]:
        """The task ids of all, and what active environments show."""
        of_all = self._info(self._everyone, task_id=self._task_id)
        return of_all | (self._info(active, **shown) if shown and active.any() else {})

    def _info(self, mask: NDArray[np.bool_], **values: torch.Tensor) -> dict[str, Any]:
        """Copies of the values, each beside the mask of the environments that have it (gymnasium's convention)."""
        copies = {name: value.clone() for name, value in values.items()}
        return copies | {f"_{name}": self._on_device(mask) for name in values}

    def _on_device(self, values: NDArray[Any]) -> torch.Tensor:
        """(B,) numbers or truth values; if all are equal, without a transfer, which would make a GPU wait."""
        if self.device.type == "cpu":
            return torch.from_numpy(values.copy())
        if (values == values[0]).all():
            return torch.full((self.num_envs,), values[0].item(), device=self.device)
        return torch.from_numpy(values.copy()).to(self.device)
