"""The infos of vector environments, by gymnasium's convention: beside each `key`, a mask `_key` of who has it."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.wrappers.flattening import put_row

ENDS = ("final_obs", "final_info")


def masked(mask: NDArray[np.bool_], **values: NDArray[Any]) -> dict[str, Any]:
    """Return copies of the values, each (B, …), beside the mask (B,) of the environments that have them."""
    copies = {name: value.copy() for name, value in values.items()}
    return copies | {f"_{name}": mask.copy() for name in values}


def merged_infos(info: dict[str, Any], other: dict[str, Any], rows: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what `other` says of the environments in `rows` (B,), and `info` of the others."""
    result: dict[str, Any] = {}
    for key in {name: None for name in (*info, *other) if not name.startswith("_")}:
        mine, theirs = (given.get(f"_{key}", np.full(len(rows), key in given)) for given in (info, other))
        mine, theirs = mine & ~rows, theirs & rows
        if not theirs.any() and not mine.any():
            continue
        if not theirs.any() or not mine.any():
            result[key] = (other if theirs.any() else info)[key]
        elif isinstance(info[key], dict):
            result[key] = merged_infos(info[key], other[key], rows)
        else:
            a, b = np.asarray(info[key]), np.asarray(other[key])
            result[key] = np.where(rows.reshape(-1, *[1] * (a.ndim - 1)), b, a)
        result[f"_{key}"] = mine | theirs
    return result


def without_ends(info: dict[str, Any]) -> dict[str, Any]:
    """Return an info without `final_obs` and `final_info`."""
    return {name: value for name, value in info.items() if name.removeprefix("_") not in ENDS}


def final_batch(observation: Any, info: dict[str, Any], ended: NDArray[np.bool_]) -> Any:
    """Return a batch of observations with the last ones of the ended episodes (B,), of a step in mode SAME_STEP.

    Args:
        observation: what the step returned, with the first ones of the next episodes.
        info: of that step. Its `final_obs` is a batch, or, as in gymnasium's `SyncVectorEnv`, an array of observations.
        ended: (B,).
    """
    final = info["final_obs"]
    if not (isinstance(final, np.ndarray) and final.dtype == object):
        return final
    batch = copy.deepcopy(observation)
    for i in np.flatnonzero(ended).tolist():
        put_row(batch, i, final[i])
    return batch
