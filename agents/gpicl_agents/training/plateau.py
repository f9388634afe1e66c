"""`Plateau`: the step at which accuracy first rises within the episode, which ends the loss plateau."""

from dataclasses import dataclass

import torch

from gpicl_envs.evaluation.metrics import LAST

GAIN = 0.1  # of accuracy, over the last ten positions against the first
DECAY = 0.95  # of the running means: about twenty steps


@dataclass
class Plateau:
    """Finds the end of the loss plateau: the step at which late predictions are clearly better than the first.

    At the first position no label has been shown: what is right there was memorised in the weights, or is chance. A
    learner that only memorises never ends its plateau, however low its loss. For regression, accuracy stands for the
    fraction of the targets' variance that the predictions explain.

    Args:
        gain: decaying sum over steps of the late accuracy minus the first.
        weight: the same sum of ones: `gain / weight` is the running mean.
        end: the step at which the plateau ended, or None.
    """

    gain: float = 0.0
    weight: float = 0.0
    end: int | None = None

    def update(self, step: int, first: float, last: float) -> bool:
        """Take a step's accuracies at the first and over the last positions; True at the step that ends the plateau."""
        self.gain = DECAY * self.gain + (1 - DECAY) * (last - first)
        self.weight = DECAY * self.weight + 1 - DECAY
        if self.lasts and self.gain / self.weight > GAIN:
            self.end = step
            return True
        return False

    @property
    def lasts(self) -> bool:
        """Whether the plateau has not ended, after enough steps to tell."""
        return self.end is None and self.weight > 0.5


def first_and_last(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, N) right or wrong, or scores → their mean at the first position and over the last ten, both of shape ()."""
    accuracy = scores.float().mean(0)
    return accuracy[0], accuracy[-LAST:].mean()
