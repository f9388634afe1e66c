"""The form of what a vector environment returns: types, shapes, dtypes, devices, and the masks of its infos."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Dict, Space, Tuple
from gymnasium.vector import VectorEnv

NAMES = "observation, reward, terminated, truncated, info"


class VectorEnvCheckError(AssertionError):
    """A vector environment failed its check; the message explains how and where."""


def require(condition: bool, message: str) -> None:
    """Raise VectorEnvCheckError with the message unless the condition holds."""
    if not condition:
        raise VectorEnvCheckError(message)


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return a nest of dicts and tuples with the function of every leaf."""
    if isinstance(value, dict):
        return {name: mapped(inner, function) for name, inner in value.items()}
    return tuple(mapped(inner, function) for inner in value) if isinstance(value, tuple) else function(value)


def to_array(leaf: Any) -> Any:
    """Return a copy of a tensor or array as a NumPy array."""
    return np.array(leaf.detach().cpu().numpy() if isinstance(leaf, torch.Tensor) else leaf)


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a nest of dicts and tuples with its name, such as `observation['x']`."""
    if isinstance(value, dict | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{name}[{key!r}]")
    else:
        yield name, value


def check_reset_return(call: str, env: VectorEnv[Any, Any, Any], returned: Any) -> None:
    """Raise VectorEnvCheckError unless this is (observation, info) of a batch."""
    is_pair = isinstance(returned, tuple) and len(returned) == 2
    require(is_pair, f"{call} returned {_described(returned)}, not the tuple (observation, info).")
    observation, info = returned
    _check_observation(call, env.observation_space, observation)
    _check_one_device(call, leaves(observation, "observation"))
    _check_info(call, info, env.num_envs)


def check_step_return(call: str, env: VectorEnv[Any, Any, Any], returned: Any) -> None:
    """Raise VectorEnvCheckError unless this is (observation, reward, terminated, truncated, info) of a batch."""
    is_five = isinstance(returned, tuple) and len(returned) == 5
    require(is_five, f"{call} returned {_described(returned)}, not the tuple ({NAMES}).")
    observation, reward, terminated, truncated, info = returned
    _check_observation(call, env.observation_space, observation)
    for name, value in (("reward", reward), ("terminated", terminated), ("truncated", truncated)):
        shape = tuple(getattr(value, "shape", ()))
        require(shape == (env.num_envs,), f"{call}: {name} has shape {shape}, expected (B,) = ({env.num_envs},).")
        kind, wanted = to_array(value).dtype.kind, "f" if name == "reward" else "b"
        expected = "floating-point numbers" if name == "reward" else "booleans"
        require(kind == wanted, f"{call}: {name} has dtype {value.dtype}, expected {expected}.")
    require(bool(np.isfinite(to_array(reward)).all()), f"{call}: reward is {to_array(reward)}: not finite.")
    arrays = leaves({"reward": reward, "terminated": terminated, "truncated": truncated}, "")
    _check_one_device(call, [*leaves(observation, "observation"), *((name[2:-2], value) for name, value in arrays)])
    _check_info(call, info, env.num_envs)


def _described(returned: Any) -> str:
    return f"{len(returned)} values" if isinstance(returned, tuple) else type(returned).__name__


def _check_observation(call: str, space: Space[Any], value: Any, name: str = "observation") -> None:
    """The observation lies in the space; where not, the message names the leaf and what is wrong with it."""
    if isinstance(space, Dict):
        keys = sorted(value) if isinstance(value, dict) else type(value).__name__
        require(keys == sorted(space.spaces), f"{call}: {name} has {keys}, its space {sorted(space.spaces)}.")
        for key, inner in space.spaces.items():
            _check_observation(call, inner, value[key], f"{name}[{key!r}]")
    elif isinstance(space, Tuple):
        is_tuple = isinstance(value, tuple) and len(value) == len(space.spaces)
        require(is_tuple, f"{call}: {name} is {_described(value)}, its space a tuple of {len(space.spaces)}.")
        for number, (part, inner) in enumerate(zip(value, space.spaces, strict=True)):
            _check_observation(call, inner, part, f"{name}[{number}]")
    else:
        _check_leaf(f"{call}: {name}", space, value)


def _check_leaf(name: str, space: Space[Any], value: Any) -> None:
    array = to_array(value)
    if space.shape is not None:
        require(array.shape == space.shape, f"{name} has shape {array.shape}, its space {space.shape}.")
    if space.dtype is not None:
        require(array.dtype == space.dtype, f"{name} has dtype {array.dtype}, its space {space.dtype}.")
    inside = space.contains(array if space.shape is not None else value)
    require(inside, f"{name} lies outside its space {space}: {array.ravel()[:8]} ….")


def _check_one_device(call: str, named: Any) -> None:
    """Arrays of one library, on one device."""
    kinds = {
        name: (type(value).__module__.split(".")[0], str(getattr(value, "device", "cpu"))) for name, value in named
    }
    first = next(iter(kinds))
    for name, (library, device) in kinds.items():
        require(
            (library, device) == kinds[first],
            f"{call}: {name} is of {library} on {device}, but {first} of {kinds[first][0]} on {kinds[first][1]}.",
        )


def _check_info(call: str, info: Any, num_envs: int, place: str = "info") -> None:
    """Every key has a mask `_key` (B,) of the environments that have it, and a value for each environment.

    Inside of a value that is a dict, masks may be missing, as in those of gymnasium's `RecordEpisodeStatistics`.
    """
    require(isinstance(info, dict), f"{call}: {place} is {_described(info)}, not a dict.")
    for key, value in info.items():
        if key.startswith("_"):
            require(key[1:] in info, f"{call}: {place} has the mask {key!r}, but not {key[1:]!r} itself.")
            continue
        _check_mask(call, info, key, num_envs, place)
        if isinstance(value, dict) and key != "final_obs":
            _check_info(call, value, num_envs, f"{place}[{key!r}]")
            continue
        for name, leaf in leaves(value, f"{place}[{key!r}]"):
            n_rows = len(leaf) if hasattr(leaf, "__len__") and getattr(leaf, "shape", True) != () else None
            require(n_rows == num_envs, f"{call}: {name} has {n_rows or 'no'} rows, expected {num_envs}.")


def _check_mask(call: str, info: dict[str, Any], key: str, num_envs: int, place: str) -> None:
    if f"_{key}" not in info:
        needed = place == "info"
        require(not needed, f"{call}: info has {key!r}, but not the mask '_{key}' of the environments that have it.")
        return
    mask = to_array(info[f"_{key}"])
    require(
        mask.dtype == bool and mask.shape == (num_envs,),
        f"{call}: {place}['_{key}'] has dtype {mask.dtype}, shape {mask.shape}, expected bool and ({num_envs},).",
    )
