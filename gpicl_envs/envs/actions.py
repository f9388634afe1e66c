"""How an agent answers an example: the action space, how an action is read and paid, and what is told afterwards."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch.nn.functional import one_hot

from gpicl_envs.errors import check_choice

CLASSIFICATION_ACTIONS = ("label", "logits")
REGRESSION_ACTIONS = ("value",)
FEEDBACKS = ("label", "reward")
LARGEST = 1e15  # of a logit or value: beyond it rewards would overflow float32


def make_action_type(action: str | None, feedback: str, n_classes: int) -> "ActionType":
    """Return the way of answering that an environment's arguments ask for; None stands for the usual action."""
    check_choice("feedback", feedback, FEEDBACKS)
    if n_classes == 1:
        check_choice("action", "value" if action is None else action, REGRESSION_ACTIONS)
        return ValueAction(feedback, n_classes)
    kind = check_choice("action", "label" if action is None else action, CLASSIFICATION_ACTIONS)
    return LabelAction(feedback, n_classes) if kind == "label" else LogitsAction(feedback, n_classes)


class ActionType(ABC):
    """One way of answering.

    Args:
        feedback: `"label"` or `"reward"`.
        n_classes: K; 1 for regression.
    """

    name: str
    action_space: Space[Any]

    def __init__(self, feedback: str, n_classes: int) -> None:
        self.feedback, self.n_classes = feedback, n_classes
        low, high = self._feedback_bounds()
        self.feedback_space = Box(low, high, (n_classes,), np.float32)

    @abstractmethod
    def read(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """Return the actions in their own dtype; those of active environments (B,) bool must be in the action space."""

    @abstractmethod
    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """(B,) labels, or values, that the actions predict."""

    @abstractmethod
    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B,) float32 pay for the actions, given the targets (B,)."""

    @abstractmethod
    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) float32, what the next observation says of this example."""

    @abstractmethod
    def _feedback_bounds(self) -> tuple[float, float]: ...


class LabelAction(ActionType):
    """A label; paid 1 if right, else 0."""

    name = "label"

    def __init__(self, feedback: str, n_classes: int) -> None:
        super().__init__(feedback, n_classes)
        self.action_space = Discrete(n_classes)

    def read(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """(B,) int64 labels."""
        if given.is_floating_point() or given.dtype == torch.bool:
            raise ValueError(f"actions must be integer labels, given {given.dtype}: use action='logits' for scores.")
        action = given.long()
        used = action[active]
        wrong = used[(used < 0) | (used >= self.n_classes)]
        if len(wrong):
            raise ValueError(f"Action {wrong[0].item()} is out of range: give a label from 0 to {self.n_classes - 1}.")
        return action

    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """(B,) the labels themselves."""
        return action

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B,) 1 or 0."""
        return (action == target).float()

    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, K) one-hot label; with bandit feedback ± one-hot prediction, + where it was right."""
        if self.feedback == "label":
            return one_hot(target, self.n_classes).float()
        predicted = self.prediction(action)
        answered = one_hot(predicted.clamp(0, self.n_classes - 1), self.n_classes).float()
        return torch.where((predicted == target)[:, None], answered, -answered)

    def _feedback_bounds(self) -> tuple[float, float]:
        return (0.0 if self.feedback == "label" else -1.0), 1.0


class LogitsAction(LabelAction):
    """Logits of the labels; paid the log-likelihood of the true one under the softmax, in nats.

    With bandit feedback the likeliest label is paid, 1 if right, else 0: a likelihood would tell the true label.
    """

    name = "logits"

    def __init__(self, feedback: str, n_classes: int) -> None:
        super().__init__(feedback, n_classes)
        self.action_space = Box(-np.inf, np.inf, (n_classes,), np.float32)

    def read(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """(B, K) float32 logits."""
        return _finite(given.float(), active, "logit")

    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """(B,) the likeliest labels."""
        return action.argmax(1)

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B,) log-likelihoods; 1 or 0 with bandit feedback."""
        if self.feedback == "reward":
            return super().reward(self.prediction(action), target)
        return action.log_softmax(1).gather(1, target[:, None])[:, 0]


class ValueAction(ActionType):
    """A real value; paid minus the squared error."""

    name = "value"

    def __init__(self, feedback: str, n_classes: int) -> None:
        super().__init__(feedback, n_classes)
        self.action_space = Box(-np.inf, np.inf, (1,), np.float32)

    def read(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """(B, 1) float32 values."""
        return _finite(given.float(), active, "value")

    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """(B,) the values."""
        return action[:, 0]

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B,) −(ŷ − y)²."""
        return -(action[:, 0] - target).square()

    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """(B, 1) the true value; with bandit feedback the reward."""
        return (target if self.feedback == "label" else self.reward(action, target))[:, None]

    def _feedback_bounds(self) -> tuple[float, float]:
        return -np.inf, (np.inf if self.feedback == "label" else 0.0)


def _finite(action: torch.Tensor, active: torch.Tensor, kind: str) -> torch.Tensor:
    used = action[active]
    wrong = used[~(used.abs() <= LARGEST)]  # so that NaN is wrong too
    if len(wrong):
        allowed = f"give finite float32 {kind}s of at most {LARGEST:.0e} in magnitude"
        raise ValueError(f"An action has the {kind} {wrong[0].item()}: {allowed}.")
    return action
