"""What the vector wrappers of this package have in common: they work on tensors."""

from typing import Any

import gymnasium
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper

from gpicl_envs.envs.reset_arguments import parse_reset_mask

Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class TorchVectorWrapper(VectorWrapper):  # generic only since gymnasium 1.4
    """The common base of these wrappers.

    Args:
        env: a vector environment that returns tensors.

    Raises:
        TypeError: the environment returns NumPy arrays.
    """

    returns_tensors = True

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        returns_tensors = getattr(env, "returns_tensors", True)
        if not returns_tensors or isinstance(env.unwrapped, SyncVectorEnv | AsyncVectorEnv):
            raise TypeError(
                f"{type(self).__name__} of gpicl_envs.wrappers.vector takes a vector environment of tensors, given "
                f"{env}: apply it before TorchToNumpy, and gymnasium's own wrappers to NumPy environments."
            )

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """When ended environments reset; some libraries read this attribute."""
        return self.metadata["autoreset_mode"]


def made_or_given(
    adapter: str,
    env: str | VectorEnv[Any, Any, Any],
    num_envs: int | None,
    arguments: dict[str, Any],
    mode: AutoresetMode,
    why: str,
) -> VectorEnv[Any, Any, Any]:
    """Return the vector environment that an adapter to another library works on.

    Args:
        adapter: its name, for errors.
        env: an id, or a vector environment.
        num_envs: B, with an id; 1 by default.
        arguments: with an id, those of `gymnasium.make_vec`.
        mode: the autoreset mode that the other library needs.
        why: how that library resets, in a sentence.

    Raises:
        ValueError: the environment has another autoreset mode, or comes with arguments that make one.
    """
    if isinstance(env, str):
        made = {"autoreset_mode": mode} | arguments
        env = gymnasium.make_vec(env, num_envs=1 if num_envs is None else num_envs, **made)
    elif num_envs is not None or arguments:
        given = arguments if num_envs is None else {"num_envs": num_envs} | arguments
        raise ValueError(f"{adapter} got an environment and arguments to make one, {given}: give one of them.")
    found = env.metadata.get("autoreset_mode")
    if found is not mode:
        raise ValueError(f"{adapter} needs an environment with autoreset_mode={mode.value!r}, given {found}: {why}.")
    return env


def to_numpy(value: Any) -> Any:
    """Return the value with every tensor in it, in tuples and dicts too, as an array of the same numbers."""
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    if isinstance(value, dict):
        return {name: to_numpy(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(to_numpy(inner) for inner in value)
    return value


def device_of(observation: torch.Tensor | dict[str, torch.Tensor]) -> torch.device:
    """Return the device of an observation, a tensor or a Dict of them."""
    return (next(iter(observation.values())) if isinstance(observation, dict) else observation).device


def reset_mask(options: dict[str, Any] | None, num_envs: int) -> torch.Tensor:
    """Return (B,) bool, the environments that `reset(options=...)` resets, as a tensor on the CPU."""
    return torch.tensor(parse_reset_mask(options, num_envs), device="cpu")


def layers(env: Any) -> list[Any]:
    """The wrappers of a vector environment, outermost first, and the environment itself."""
    found = [env]
    while found[-1] is not found[-1].unwrapped:
        found.append(found[-1].env)
    return found
