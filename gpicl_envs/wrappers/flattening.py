"""Observations of other environments as rows of numbers: gymnasium's `flatten`, for a whole batch at once."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatdim
from numpy.typing import NDArray


def check_flat(wrapper: str, space: Space[Any]) -> int:
    """Return D, the number of numbers of a flattened observation.

    Args:
        wrapper: the name of who asks, for errors.
        space: of one environment.

    Raises:
        TypeError: an observation, or a part of it, has no fixed number of numbers: Text, Sequence, Graph, OneOf, ….
    """
    if isinstance(space, Dict | Tuple):
        parts = space.spaces.values() if isinstance(space, Dict) else space.spaces
        return sum(check_flat(wrapper, part) for part in parts)
    if not isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete):
        raise TypeError(
            f"{wrapper} cannot make numbers of observations in {space}: the observations may be Box, Discrete, "
            "MultiBinary, MultiDiscrete, and Dict and Tuple of these. Transform others beneath it, with "
            "gymnasium.wrappers.TransformObservation."
        )
    return flatdim(space)


def flatten_rows(space: Space[Any], batch: Any) -> NDArray[np.float32]:
    """Return (B, D) float32: row i is `gymnasium.spaces.flatten` of observation i.

    Args:
        space: of one environment.
        batch: B observations, as a vector environment returns them.
    """
    if isinstance(space, Dict):
        return np.concatenate([flatten_rows(part, batch[key]) for key, part in space.spaces.items()], 1)
    if isinstance(space, Tuple):
        return np.concatenate([flatten_rows(part, inner) for part, inner in zip(space.spaces, batch, strict=True)], 1)
    values = np.asarray(batch)
    values = values.reshape(len(values), -1)
    if isinstance(space, Discrete):
        return _one_hot_rows(values - space.start, np.array([space.n]))
    if isinstance(space, MultiDiscrete):
        return _one_hot_rows(values - space.start.reshape(-1), space.nvec.reshape(-1))
    return values.astype(np.float32)  # a copy, even of float32


def put_row(batch: Any, i: int, observation: Any) -> None:
    """Write one observation into a batch, in place."""
    if isinstance(observation, dict):
        for key, inner in observation.items():
            put_row(batch[key], i, inner)
    elif isinstance(observation, tuple):
        for part, inner in zip(batch, observation, strict=True):
            put_row(part, i, inner)
    else:
        batch[i] = observation


def _one_hot_rows(values: NDArray[Any], sizes: NDArray[Any]) -> NDArray[np.float32]:
    """(B, M) whole numbers, each below its size (M,) → (B, sum of sizes)."""
    rows = np.zeros((len(values), int(sizes.sum())), np.float32)
    rows[np.arange(len(values))[:, None], values + np.cumsum(sizes) - sizes] = 1.0
    return rows
