"""The policy gradient of a roll-out: generalised advantages, and PPO's clipped objective with a critic.

Schulman et al. 2016, arXiv:1506.02438 (advantages); Schulman et al. 2017, arXiv:1707.06347 (the objective). The return
runs over the whole problem, across the ends of its episodes, so exploring early pays (Duan et al. 2016,
arXiv:1611.02779). Without a critic, the baseline of a return is the mean return of the other problems at the same
step, and with one epoch the gradient is the plain one (Williams 1992).
"""

from dataclasses import dataclass

import torch
from torch import nn

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.policy import make_policy
from gpicl_agents.training.config import RewardConfig
from gpicl_agents.training.roll_out import RollOut


@dataclass
class Batch:
    """What an update learns from: the roll-out's rows, and for each step what was better or worse than expected.

    Args:
        played: the roll-out.
        advantages: (B, N) of the actions, of mean 0 and standard deviation 1 where a problem had not ended.
        returns: (B, N) what the critic should have said, in units of 1 / (1 − γ).
    """

    played: RollOut
    advantages: torch.Tensor
    returns: torch.Tensor

    def rows(self, rows: torch.Tensor) -> "Batch":
        """Return the part of some problems."""
        played = RollOut(**{name: value[rows] for name, value in vars(self.played).items()})
        return Batch(played, self.advantages[rows], self.returns[rows])

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return what `PolicyObjective` takes, in its order."""
        played = self.played
        shown = played.x, played.feedback, played.actions, played.log_probability
        return *shown, self.advantages, self.returns, played.alive


def returns(rewards: torch.Tensor, discount: float) -> torch.Tensor:
    """(B, N) rewards → Σ_{m ≥ n} γ^{m−n} r_m."""
    found, after = [], torch.zeros_like(rewards[:, 0])
    for reward in rewards.unbind(1)[::-1]:
        after = reward + discount * after
        found.append(after)
    return torch.stack(found[::-1], 1)


def generalised_advantages(
    rewards: torch.Tensor, values: torch.Tensor, alive: torch.Tensor, discount: float, decay: float
) -> torch.Tensor:
    """Return (B, N) Σ_{m ≥ n} (γλ)^{m−n} δ_m with δ_m = r_m + γ V_{m+1} − V_m (equation 16 of Schulman et al. 2016).

    After the end of a problem, all values and rewards count as 0.

    Args:
        rewards: (B, N), 0 after the end.
        values: (B, N) V.
        alive: (B, N) bool, whether the problem had not ended before the step.
        discount: γ.
        decay: λ.
    """
    values = values * alive
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    return returns(rewards + discount * following - values, discount * decay)


def make_batch(played: RollOut, has_critic: bool, config: RewardConfig, discount: float) -> Batch:
    """Return what an update learns from.

    Args:
        played: the roll-out. Its values are in units of 1 / (1 − γ), the return of a reward of 1 in every step of an
            endless problem, so that they are of the size of rewards; of N with γ = 1.
        has_critic: whether its values are those of a critic.
        config: how to train.
        discount: γ.
    """
    rewards, unit = played.rewards, 1 / max(1 - discount, 1 / played.rewards.shape[1])
    if has_critic:
        values = played.values * unit
        advantages = generalised_advantages(rewards, values, played.alive, discount, config.gae_lambda)
        gained = (advantages + values) / unit
    else:
        gained = returns(rewards, discount)
        advantages = (gained - gained.mean(0)) * len(gained) / (len(gained) - 1)
    known = advantages[played.alive]
    if has_critic:
        advantages = advantages - known.mean()
    return Batch(played, advantages / (known.std() + 1e-6), gained)


class PolicyObjective(nn.Module):
    """PPO's objective of a policy on a batch, as one module, so that it can be distributed over processes."""

    def __init__(self, learner: SequenceAgent, config: RewardConfig) -> None:
        super().__init__()
        self.learner, self.config = learner, config

    def forward(
        self,
        x: torch.Tensor,
        feedback: torch.Tensor,
        actions: torch.Tensor,
        log_probability: torch.Tensor,
        advantages: torch.Tensor,
        gained: torch.Tensor,
        alive: torch.Tensor,
        entropy_weight: torch.Tensor,
    ) -> tuple[torch.Tensor]:
        """Return the loss: minus the clipped gain (equation 7) and the weighted entropy, plus the critic's error.

        All arguments are as in `Batch` and its `RollOut`; `entropy_weight` () is that of the
        entropy, in nats.
        """
        outputs, values, _ = self.learner.act_and_value(self.learner.start(len(x)), x, feedback)
        policy = make_policy(outputs, self.learner.log_std)
        ratio = (policy.log_prob(actions) - log_probability).exp()
        clipped = ratio.clamp(1 - self.config.clip, 1 + self.config.clip)
        gain = torch.minimum(ratio * advantages, clipped * advantages)
        gain = gain + entropy_weight * policy.entropy()
        if self.learner.value_head:
            gain = gain - self.config.value_weight * (values - gained).square()
        return (-gain[alive].mean(),)
