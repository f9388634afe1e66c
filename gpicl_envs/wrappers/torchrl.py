"""`TorchRLVecEnv`: the vector environment for TorchRL. Needs `gpicl-envs[rl]`."""

from typing import Any

import torch
from gymnasium.spaces import Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gpicl_envs.wrappers.base import Step, TorchVectorWrapper, made_or_given

try:
    from torchrl.data import OneHot
    from torchrl.envs import GymWrapper
except ImportError as error:
    raise ImportError(
        "gpicl_envs.wrappers.torchrl needs TorchRL, which is not installed: pip install 'gpicl-envs[rl]'."
    ) from error


NAMES = {"action": "previous_action", "reward": "previous_reward"}  # TorchRL uses the former itself


class TorchRLVecEnv(GymWrapper):
    """A batch of in-context learning problems as one environment of TorchRL, of batch size (B,).

    TorchRL's own `GymWrapper` takes the vector environment too, but shows transforms the rewards, if they come as
    tensors, in the shape (B,), from which `RewardSum` makes returns (B, B). Here rewards and ends of episodes are
    (B, 1). Tensors stay on the device of the environment. Observations called `action` and `reward`, as those of
    in-context RL, are shown as `previous_action` and `previous_reward`, since TorchRL uses these names itself.

    Args:
        env: an id, or a vector environment of tensors in autoreset mode DISABLED (TorchRL resets by mask), which may
            have wrappers of `gpicl_envs.wrappers.vector`.
        num_envs: B, with an id.
        categorical_action_encoding: whether labels are numbers, not one-hot vectors.
        **arguments: with an id, those of `gymnasium.make_vec`.

    Raises:
        ImportError: when this module is imported without TorchRL.
        ValueError: a vector environment has another autoreset mode, or comes with arguments that make one.

    Example:
        >>> from torchrl.envs import RewardSum, TransformedEnv
        >>> env = TransformedEnv(TorchRLVecEnv("GPICL-Digits-v0", num_envs=8, length=5), RewardSum())
        >>> env.rollout(5)["next", "episode_reward"].shape
        torch.Size([8, 5, 1])
    """

    def __init__(
        self,
        env: str | VectorEnv[Any, Any, Any],
        num_envs: int | None = None,
        *,
        categorical_action_encoding: bool = False,
        **arguments: Any,
    ) -> None:
        # TorchRL's metaclass adds options of its own to those of the caller.
        options = {name: arguments.pop(name) for name in [*arguments] if name.startswith("_torchrl")}
        why = "TorchRL resets by itself, those that have ended"
        env = made_or_given("TorchRLVecEnv", env, num_envs, arguments, AutoresetMode.DISABLED, why)
        if NAMES.keys() & {*getattr(env.single_observation_space, "spaces", ())}:
            env = RenamedObservation(env)
        super().__init__(
            env,
            categorical_action_encoding=categorical_action_encoding,
            device=env.unwrapped.device,  # type: ignore[attr-defined]
            **options,
        )

    def read_action(self, action: torch.Tensor) -> torch.Tensor:
        """Return the actions as the environment takes them: labels (B,), logits (B, K) or values (B, 1)."""
        return action.long().argmax(-1) if isinstance(self.action_spec, OneHot) else action

    def read_done(self, **ends: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]:
        """Return terminated, truncated and done as (B, 1), and whether to stop repeating the action."""
        terminated, truncated, done, stop = super().read_done(**ends)
        return terminated[:, None], truncated[:, None], done[:, None], stop

    def read_reward(self, reward: torch.Tensor) -> torch.Tensor:
        """Return the rewards (B,) as (B, 1), the shape of TorchRL's ends of episodes."""
        return reward[:, None]


class RenamedObservation(TorchVectorWrapper):
    """Show the previous action and reward under names that TorchRL does not use; for autoreset mode DISABLED.

    Args:
        env: a vector environment with a Dict of observations as tensors.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.single_observation_space = Dict(_renamed(env.single_observation_space.spaces))  # type: ignore[attr-defined]
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes."""
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return _renamed(observation), info

    def step(self, actions: Any) -> Step:
        """Step."""
        observation, *outcome, info = self.env.step(actions)
        return _renamed(observation), *outcome, info


def _renamed(parts: Any) -> dict[str, Any]:
    """The parts of an observation, or their spaces, by the names that TorchRL allows."""
    return {NAMES.get(name, name): part for name, part in parts.items()}
