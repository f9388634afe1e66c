"""The arguments of `reset()` of a batch of environments: a seed for each stream, and a mask of those that reset."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.errors import check_integer
from gpicl_envs.sampling.philox import WORD


def parse_reset_mask(options: dict[str, Any] | None, num_envs: int) -> NDArray[np.bool_]:
    """Return (B,) the environments that reset: those of `options["reset_mask"]`, a boolean array or tensor, else all.

    Raises:
        ValueError: the mask is not boolean, not of shape (B,), or has no True.
    """
    if not options or "reset_mask" not in options:
        return np.ones(num_envs, bool)
    given = options["reset_mask"]
    mask = given.cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
    if mask.shape != (num_envs,) or mask.dtype != bool or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must be a boolean array of shape ({num_envs},) with at least one True, "
            f"given shape {mask.shape}, dtype {mask.dtype}, {int(mask.astype(bool).sum())} true."
        )
    return mask


def parse_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Return a seed for each environment: s + i for one seed s, those of several; None keeps a stream.

    Raises:
        ValueError: a seed is not a whole number from 0 to 2^64 − 1, or there are not B of them.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, np.ndarray | torch.Tensor):
        seed = seed.tolist()
    if not isinstance(seed, Sequence) or isinstance(seed, str):
        first = check_integer("seed", seed, 0, WORD - num_envs)
        return [first + i for i in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"reset(seed=...) got {len(seed)} seeds for {num_envs} environments: give one for each.")
    return [None if one is None else check_integer("seed", one, 0, WORD - 1) for one in seed]
