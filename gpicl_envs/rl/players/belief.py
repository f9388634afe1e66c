"""The posterior of tabular MDPs: Dirichlet for transitions, normal for mean rewards, whose noise is known."""

from dataclasses import dataclass

import torch

from gpicl_envs.rl.problems import Tensors
from gpicl_envs.rl.tabular_mdp import PRIOR_MEAN


@dataclass(frozen=True)
class Belief:
    """The posterior of B players.

    Args:
        alpha: (B, S, A, S) float32, the Dirichlet parameters of the transitions: 1 + the number of each seen.
        reward_sum: (B, S, A) float32, PRIOR_MEAN + the rewards that were earned.
        n_rewards: (B, S, A) float32, 1 + their number: the precision of the mean reward.
    """

    alpha: torch.Tensor
    reward_sum: torch.Tensor
    n_rewards: torch.Tensor

    @classmethod
    def prior(cls, batch_size: int, n_states: int, n_actions: int, device: torch.device) -> "Belief":
        """Return the distribution that the problems come from."""
        alpha = torch.ones(batch_size, n_states, n_actions, n_states, dtype=torch.float32, device=device)
        return cls(alpha, PRIOR_MEAN * alpha[..., 0], alpha[..., 0])

    @property
    def mean_transitions(self) -> torch.Tensor:
        """(B, S, A, S)."""
        return self.alpha / self.alpha.sum(3, keepdim=True)

    @property
    def mean_rewards(self) -> torch.Tensor:
        """(B, S, A)."""
        return self.reward_sum / self.n_rewards

    def after(self, previous: torch.Tensor, observation: Tensors) -> "Belief":
        """Learn from a step from the state `previous`, (B, S) one-hot.

        The first observation of an episode does not show where the last step led: its reward alone is learned from.
        """
        taken = previous[:, :, None] * observation["action"][:, None]  # (B, S, A), all zeros at the first step
        to = observation["x"] * (1 - observation["start"])
        return Belief(
            self.alpha + taken[..., None] * to[:, None, None],
            self.reward_sum + taken * observation["reward"][:, :, None],
            self.n_rewards + taken,
        )
