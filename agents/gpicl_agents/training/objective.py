"""`Objective`: the loss of a learner on a batch of episodes."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gpicl_envs.learners.base import Learner


class Objective(nn.Module):
    """The loss of a learner on a batch, as one module, so that it can be compiled and distributed over processes.

    `variance` is that of the targets, for regression alone.
    """

    def __init__(self, learner: Learner, precision: str, variance: float | None = None) -> None:
        super().__init__()
        self.learner, self.precision, self.variance = learner, precision, variance

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss and the score of each prediction.

        Args:
            x: (B, N, D) inputs.
            y: (B, N) labels or values.

        Returns:
            The mean cross-entropy in nats, and (B, N) whether each prediction was right. For values, the mean squared
            error in units of the targets' variance, and (B, N) how much smaller each is than that of predicting 0.
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.learner.predict(x, y.clone())  # whatever it does to its labels, the loss is of the true ones
        if self.variance is not None:
            errors = (logits[..., 0].float() - y).square()
            return errors.mean() / self.variance, (y.square() - errors.detach()) / self.variance
        return cross_entropy(logits.flatten(0, 1).float(), y.flatten()), logits.argmax(2) == y
