"""`Plateau`: the step at which accuracy first rises within the episode, which ends the loss plateau."""

from collections.abc import Mapping

import torch

from gpicl_envs.evaluation.metrics import LAST

GAIN = 0.1  # of accuracy, over the last ten positions against the first
DECAY = 0.95  # of the running means: about twenty steps


class Plateau:
    """Finds the end of the loss plateau: the step at which late predictions are clearly better than the first.

    At the first position no label has been shown: what is right there was memorised in the weights, or is chance. A
    learner that only memorises never ends its plateau, however low its loss.

    Args:
        state: of a plateau to continue with, as `state` returned it.
    """

    def __init__(self, state: Mapping[str, float | int | None] | None = None) -> None:
        state = state or {}
        self.gain, self.weight = float(state.get("gain") or 0.0), float(state.get("weight") or 0.0)
        end = state.get("end")
        self.end = None if end is None else int(end)

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

    @property
    def state(self) -> dict[str, float | int | None]:
        """Plain values that a checkpoint keeps."""
        return {"gain": self.gain, "weight": self.weight, "end": self.end}


def first_and_last(correct: torch.Tensor) -> tuple[float, float]:
    """(B, N) right or wrong → accuracy at the first position and over the last ten."""
    accuracy = correct.float().mean(0)
    return accuracy[0].item(), accuracy[-LAST:].mean().item()
