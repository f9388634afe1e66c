"""The format of in-context RL problems, which `gpicl_envs.rl` has and `Trials` gives to any environment."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space
from numpy.typing import NDArray

from gpicl_envs.envs.arrays import as_array, one_hot

KEYS = ("x", "action", "reward", "start")


def problem_space(n_features: int, n_action: int, actions: Space[Any]) -> Dict:
    """Return the observation space.

    Args:
        n_features: D, the length of x.
        n_action: A, the length of the previous action as it is shown.
        actions: the agent's; a Discrete one is shown one-hot, a Box as it is.
    """
    low, high = (0.0, 1.0) if isinstance(actions, Discrete) else (-np.inf, np.inf)
    return Dict(
        {
            "x": Box(-np.inf, np.inf, (n_features,), np.float32),
            "action": Box(low, high, (n_action,), np.float32),
            "reward": Box(-np.inf, np.inf, (1,), np.float32),
            "start": Box(0.0, 1.0, (1,), np.float32),
        }
    )


def action_size(wrapper: str, actions: Space[Any]) -> int:
    """Return A, the length of an action as it is shown.

    Raises:
        TypeError: the actions are neither Discrete nor Box.
    """
    if isinstance(actions, Discrete):
        return int(actions.n)
    if isinstance(actions, Box) and actions.dtype.kind == "f":
        return int(np.prod(actions.shape))
    raise TypeError(
        f"{wrapper} needs Discrete actions or a Box of real ones, given {actions}: transform others beneath it, with "
        "gymnasium.wrappers.TransformAction."
    )


def action_rows(actions: Space[Any], given: Any, batch_size: int) -> NDArray[np.float32]:
    """Return (B, A) float32: Discrete actions one-hot, those of a Box flat.

    Args:
        actions: the space of one action.
        given: B actions, an array or a tensor.
        batch_size: B.

    Raises:
        ValueError: these are not B actions, or one is out of range.
    """
    shape = (batch_size, *(actions.shape or ()))
    try:
        values = as_array(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"actions must be numbers of shape {shape}, given {given!r}.") from error
    if values.shape != shape:
        raise ValueError(f"actions must have shape {shape}, given {values.shape}.")
    if not isinstance(actions, Discrete):
        return values.reshape(batch_size, -1).astype(np.float32)
    first, last = int(actions.start), int(actions.start + actions.n - 1)
    if values.dtype.kind not in "iu":
        raise ValueError(f"actions must be whole numbers from {first} to {last}, given {values.dtype}.")
    wrong = (values < first) | (values > last)
    if wrong.any():
        raise ValueError(f"Action {values[wrong][0]} is out of range: give a number from {first} to {last}.")
    return one_hot(values.astype(np.int64) - first, int(actions.n))
