"""The policy of a sequence model: what its outputs say of the next action, and what that is in an environment.

Outputs are logits of Discrete actions. For those in a Box, they are the mean of a normal distribution, which has one
standard deviation for each number of the action, a parameter (Schulman et al. 2015, arXiv:1502.05477). An action is in
units of the bounds: −1 is the lowest, 1 the highest. What is drawn beyond them is clipped only on its way to the
environment, so probabilities are those of what was drawn.
"""

from typing import Any

import torch
from gymnasium.spaces import Box, Discrete
from torch.distributions import Categorical, Distribution, Independent, Normal


def make_policy(outputs: torch.Tensor, log_std: torch.Tensor | None) -> Distribution:
    """Return the distribution of the next action, unchecked: a GPU would wait for each of torch's checks.

    Args:
        outputs: (…, A) of a `SequenceAgent`.
        log_std: (A,) its logarithms of the standard deviations; None for Discrete actions.

    Returns:
        Of labels (…), or of actions (…, A).
    """
    if log_std is None:
        return Categorical(logits=outputs, validate_args=False)
    return Independent(Normal(outputs, log_std.exp(), validate_args=False), 1, validate_args=False)


class ActionUnits:
    """The actions of a policy and those of an environment, of which one stands for the other.

    Args:
        space: of one action of the environment: Discrete, or a Box. Where a Box lacks one of its bounds, an action is
            in the environment's own units.
        device: of the tensors.
    """

    def __init__(self, space: Any, device: torch.device) -> None:
        self.space, self.first = space, int(getattr(space, "start", 0))
        if isinstance(space, Box):
            low, high = (torch.as_tensor(end.reshape(-1), device=device) for end in (space.low, space.high))
            bounded = (high - low).isfinite()
            self.low, self.high = low, high
            self.center = torch.where(bounded, (low + high) / 2, 0.0)
            self.half = torch.where(bounded & (high > low), (high - low) / 2, 1.0)

    def to_environment(self, actions: torch.Tensor) -> torch.Tensor:
        """(B,) labels, or (B, A) actions in units of the bounds → B actions of the environment."""
        if isinstance(self.space, Box):
            return (self.center + self.half * actions).clamp(self.low, self.high).view(-1, *self.space.shape)
        return actions + self.first

    def to_policy(self, shown: torch.Tensor) -> torch.Tensor:
        """(B, A) the previous action as problems show it → one-hot, or in units of the bounds."""
        return (shown - self.center) / self.half if isinstance(self.space, Box) else shown


def is_continuous(space: Any) -> bool:
    """Whether actions are in a Box of real numbers, not Discrete; raises ValueError for a space of another kind."""
    is_box = isinstance(space, Box) and space.dtype.kind == "f"
    if not is_box and not isinstance(space, Discrete):
        raise ValueError(f"A policy needs Discrete actions or a Box of real ones, given {space}.")
    return is_box
