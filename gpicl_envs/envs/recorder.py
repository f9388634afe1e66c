"""Plays a vector environment and keeps copies of all that it shows, to compare one with another."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

from gpicl_envs.envs.check_returns import (
    check_reset_return,
    check_step_return,
    leaves,
    mapped,
    require,
    to_array,
)

MORE_STEPS = 3  # after every environment has ended once, so that second episodes are seen


@dataclass(frozen=True)
class Shown:
    """What one `reset` or `step` of B environments showed, as NumPy copies.

    Args:
        call: what was called, for messages.
        observation: batched.
        info: with its masks.
        actions: of a step.
        seed: of a reset.
        mask: (B,) the environments that a reset was given; None for all.
        reward: (B,) of a step; of a reset, zeros.
        terminated: (B,) the same.
        truncated: (B,) the same.
    """

    call: str
    observation: Any
    info: dict[str, Any]
    reward: NDArray[Any]
    terminated: NDArray[Any]
    truncated: NDArray[Any]
    actions: Any = None
    seed: int | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def is_step(self) -> bool:
        """Whether a step showed it."""
        return self.actions is not None

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(B,) the environments whose episode ended here."""
        return self.terminated | self.truncated


class Recorder:
    """Calls a vector environment and checks that it returns what it should, and later leaves it alone.

    Args:
        env: the vector environment.

    Attributes:
        shown: everything so far.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.shown: list[Shown] = []
        self._returned: Any = None  # by the last call, not copied

    def reset(self, seed: int | None = None, mask: NDArray[np.bool_] | None = None) -> Shown:
        """Begin new episodes, in some environments only if there is a mask."""
        given = "" if seed is None else f"seed={seed}"
        call = f"reset({given})" if mask is None else f"reset(options={{'reset_mask': {mask.tolist()}}})"
        returned = self.env.reset(seed=seed, options=None if mask is None else {"reset_mask": mask.copy()})
        check_reset_return(call, self.env, returned)
        self._check_last_untouched(call)
        self._returned = returned
        none = np.zeros(self.env.num_envs)
        observation, info = mapped(returned, to_array)
        ends = none.astype(bool)
        self.shown.append(Shown(call, observation, info, none, ends, ends, seed=seed, mask=mask))
        return self.shown[-1]

    def step(self, actions: Any) -> Shown:
        """Step with NumPy actions, which the environment gets as tensors if its observations are tensors."""
        call = f"step {sum(shown.is_step for shown in self.shown) + 1}"
        returned = self.env.step(mapped(actions, self._as_observations))
        check_step_return(call, self.env, returned)
        self._check_last_untouched(call)
        self._returned = returned
        observation, reward, terminated, truncated, info = mapped(returned, to_array)
        self.shown.append(Shown(call, observation, info, reward, terminated, truncated, actions))
        return self.shown[-1]

    def _as_observations(self, action: Any) -> Any:
        _, first = next(leaves(self._returned[0], ""))
        array = np.array(action)
        return torch.from_numpy(array).to(first.device) if isinstance(first, torch.Tensor) else array

    def _check_last_untouched(self, call: str) -> None:
        """What the call before returned still has the numbers that it had."""
        if not self.shown:
            return
        last = self.shown[-1]
        kept = dict(leaves(last.observation, "observation")) | {"reward": last.reward}
        now = dict(leaves(self._returned[0], "observation")) | ({"reward": self._returned[1]} if last.is_step else {})
        for name, value in now.items():
            same = np.array_equal(to_array(value), kept[name], equal_nan=kept[name].dtype.kind == "f")
            require(same, f"{call} overwrote the {name} that {last.call} had returned: return a copy.")


def play(env: VectorEnv[Any, Any, Any], seed: int, steps: int) -> list[Shown]:
    """Play random actions until every environment has ended once, and a few steps more.

    With autoreset disabled, the first environment alone is reset after the first step, so that they are no longer at
    the same position, and then each that has ended.
    """
    recorder, actions = Recorder(env), copy.deepcopy(env.action_space)
    actions.seed(seed)
    recorder.reset(seed=seed)
    waiting, more = np.ones(env.num_envs, bool), MORE_STEPS
    disabled = env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    for number in range(steps):
        shown = recorder.step(actions.sample())
        waiting &= ~shown.ended
        if disabled:
            mask = shown.ended | (np.arange(env.num_envs) == 0 if number == 0 else False)
            if mask.any():
                recorder.reset(mask=mask)
        more -= not waiting.any()
        if not more:
            break
    return recorder.shown


def play_again(env: VectorEnv[Any, Any, Any], script: list[Shown]) -> list[Shown]:
    """Make the same calls once more."""
    recorder = Recorder(env)
    for shown in script:
        if shown.is_step:
            recorder.step(shown.actions)
        else:
            recorder.reset(shown.seed, shown.mask)
    return recorder.shown


def final_rows(env: VectorEnv[Any, Any, Any], final_obs: Any) -> list[Any]:
    """Return the last observation of each environment, of a batch or of an object array, which has None for some."""
    if isinstance(final_obs, np.ndarray) and final_obs.dtype == object:
        return list(final_obs)
    return list(iterate(env.observation_space, final_obs))
