"""`TorchRLVecEnv`: the vector environment for TorchRL. Needs `gpicl-envs[rl]`."""

from typing import Any

import torch
from gymnasium.vector import AutoresetMode, VectorEnv

from gpicl_envs.wrappers.base import made_or_given

try:
    from torchrl.data import OneHot
    from torchrl.envs import GymWrapper
except ImportError as error:
    raise ImportError(
        "gpicl_envs.wrappers.torchrl needs TorchRL, which is not installed: pip install 'gpicl-envs[rl]'."
    ) from error


class TorchRLVecEnv(GymWrapper):
    """A batch of in-context learning problems as one environment of TorchRL, of batch size (B,).

    TorchRL's own `GymWrapper` takes the vector environment too, but shows transforms the rewards, if they come as
    tensors, in the shape (B,), from which `RewardSum` makes returns (B, B). Here rewards and ends of episodes are
    (B, 1). Tensors stay on the device of the environment.

    Args:
        env: an id, or a vector environment of tensors in autoreset mode DISABLED (TorchRL resets by mask), which may
            have wrappers of `gpicl_envs.wrappers.vector`.
        num_envs: B, with an id.
        categorical_action_encoding: whether labels are numbers, not one-hot vectors.
        **arguments: with an id, those of `gymnasium.make_vec`.

    Raises:
        ImportError: when this module is imported without TorchRL.
        ValueError: a vector environment has another autoreset mode, observations whose names TorchRL uses itself, or
            comes with arguments that make one.

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
        taken = {"action", "reward"} & {*getattr(env.single_observation_space, "spaces", ())}
        if taken:
            raise ValueError(
                f"TorchRLVecEnv cannot show observations called {' and '.join(sorted(taken))}, names that TorchRL uses "
                "itself: put FlattenObservation of gpicl_envs.wrappers.vector around PreviousActionAndReward."
            )
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
