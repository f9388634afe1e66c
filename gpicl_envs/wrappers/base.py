"""What the vector wrappers of this package have in common: they work on tensors."""

from typing import Any

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
