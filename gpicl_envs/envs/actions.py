"""Action types: the action space, how actions are checked and rewarded, and the feedback that follows."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch.nn.functional import one_hot

from gpicl_envs.errors import check_choice

# The first of each tuple is the default.
CLASSIFICATION_ACTIONS = ("label", "logits")
REGRESSION_ACTIONS = ("value",)
FEEDBACKS = ("label", "reward")
MAX_MAGNITUDE = 1e15  # of a logit or value: beyond it rewards would overflow float32


class ActionType(ABC):
    """How an agent gives its predictions.

    Args:
        feedback: `"label"` or `"reward"`.
        n_classes: K; 1 for regression.
        action_space: of one environment.
        low: smallest value in the feedback.
        high: largest value in the feedback.
    """

    name: str

    def __init__(self, feedback: str, n_classes: int, action_space: Space[Any], low: float, high: float) -> None:
        self.feedback, self.n_classes, self.action_space = feedback, n_classes, action_space
        self.feedback_space = Box(low, high, (n_classes,), np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return self.action_space.shape or ()

    def parse(self, actions: Any, active: torch.Tensor) -> torch.Tensor:
        """Return the actions as a tensor on the device of `active`.

        Args:
            actions: (B,) labels, (B, K) logits or (B, 1) values, a tensor or an array.
            active: (B,) bool, the environments that read their action; the actions of others may be any numbers.

        Raises:
            ValueError: an action is not in the action space.
        """
        shape = (len(active), *self.shape)
        try:
            given = as_tensor(actions, active.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"actions must be numbers of shape {shape}, given {actions!r}.") from error
        if tuple(given.shape) != shape:
            raise ValueError(f"actions must have shape {shape}, given {tuple(given.shape)}.")
        return self._check(given, active)

    @abstractmethod
    def _check(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """The actions in the dtype of the action space, if those of active environments (B,) lie in it."""

    @abstractmethod
    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """Return (B,) labels, or values, that the actions predict."""

    @abstractmethod
    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return (B,) float32 rewards of the actions, given the targets (B,)."""

    @abstractmethod
    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return (B, K) float32: the feedback on this example, which the next observation holds."""


class LabelAction(ActionType):
    """A label; the reward is 1 if it is right, else 0."""

    name = "label"

    def __init__(self, feedback: str, n_classes: int) -> None:
        low = 0.0 if feedback == "label" else -1.0
        super().__init__(feedback, n_classes, Discrete(n_classes), low, 1.0)

    def _check(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
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
        """Return the labels (B,) themselves."""
        return action

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return (B,) 1 or 0."""
        return (action == target).float()

    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the one-hot label (B, K); with bandit feedback ± the one-hot prediction, + if it was right."""
        if self.feedback == "label":
            return one_hot(target, self.n_classes).float()
        predicted = self.prediction(action)
        shown = one_hot(predicted.clamp(0, self.n_classes - 1), self.n_classes).float()
        return torch.where((predicted == target)[:, None], shown, -shown)


class LogitsAction(LabelAction):
    """Logits of the labels; the reward is the log-likelihood of the true label under the softmax, in nats.

    With bandit feedback the reward is 1 if the most likely label is right, else 0; a likelihood would reveal the label.
    """

    name = "logits"

    def __init__(self, feedback: str, n_classes: int) -> None:
        super().__init__(feedback, n_classes)
        self.action_space = Box(-np.inf, np.inf, (n_classes,), np.float32)

    def _check(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """(B, K) float32 logits."""
        return _check_finite(given.float(), active, "logit")

    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """Return the most likely labels (B,)."""
        return action.argmax(1)

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return (B,) log-likelihoods; 1 or 0 with bandit feedback."""
        if self.feedback == "reward":
            return super().reward(self.prediction(action), target)
        return action.log_softmax(1).gather(1, target[:, None])[:, 0]


class ValueAction(ActionType):
    """A real value; the reward is minus the squared error."""

    name = "value"

    def __init__(self, feedback: str, n_classes: int) -> None:
        high = np.inf if feedback == "label" else 0.0
        super().__init__(feedback, n_classes, Box(-np.inf, np.inf, (1,), np.float32), -np.inf, high)

    def _check(self, given: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        """(B, 1) float32 values."""
        return _check_finite(given.float(), active, "value")

    def prediction(self, action: torch.Tensor) -> torch.Tensor:
        """Return the values (B,)."""
        return action[:, 0]

    def reward(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return (B,) −(ŷ − y)²."""
        return -(action[:, 0] - target).square()

    def feedback_for(self, action: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the true value (B, 1); with bandit feedback the reward."""
        return (target if self.feedback == "label" else self.reward(action, target))[:, None]


def as_tensor(actions: Any, device: torch.device) -> torch.Tensor:
    """Return numbers, an array, a tensor, or a list of any of them as a tensor on the device, in their own dtype."""
    if isinstance(actions, list | tuple) and actions and all(isinstance(one, torch.Tensor) for one in actions):
        actions = torch.stack(tuple(actions))
    if not isinstance(actions, torch.Tensor):
        # A copy: torch cannot take every array as it is, since some have negative strides or read-only memory.
        actions = torch.from_numpy(np.array(actions))
    return actions.to(device)


def as_single_action(action: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the action of one environment as a tensor of this shape; dimensions of length 1 make no difference.

    So a batch of one may be given, as policies return it that know batches alone.

    Raises:
        ValueError: it is no number or array, or of another shape.
    """
    wanted = f"numbers of shape {shape}" if shape else "one number"
    try:
        given = as_tensor(action, torch.device("cpu"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"An action must be {wanted}, given {action!r}.") from error
    if [n for n in given.shape if n != 1] != [n for n in shape if n != 1]:
        raise ValueError(f"An action must be {wanted}, given shape {tuple(given.shape)}.")
    return given.detach().reshape(shape)


def make_action_type(action: str | None, feedback: str, n_classes: int) -> ActionType:
    """Return the action type for an environment's arguments; `action=None` is the default of the kind of problem."""
    check_choice("feedback", feedback, FEEDBACKS)
    names = REGRESSION_ACTIONS if n_classes == 1 else CLASSIFICATION_ACTIONS
    name = check_choice("action", names[0] if action is None else action, names)
    return {"label": LabelAction, "logits": LogitsAction, "value": ValueAction}[name](feedback, n_classes)


def _check_finite(action: torch.Tensor, active: torch.Tensor, kind: str) -> torch.Tensor:
    used = action[active]
    wrong = used[~(used.abs() <= MAX_MAGNITUDE)]  # so that NaN is wrong too
    if len(wrong):
        allowed = f"give finite float32 {kind}s of at most {MAX_MAGNITUDE:.0e} in magnitude"
        raise ValueError(f"An action has the {kind} {wrong[0].item()}: {allowed}.")
    return action
