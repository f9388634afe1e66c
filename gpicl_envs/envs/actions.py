"""Action types: the action space, how actions are checked and rewarded, and the feedback that follows.

The rules are written once, for the tensors of the vector environment and the NumPy arrays of the single one, which are
twenty times as fast for a batch of one.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from gpicl_envs.envs.arrays import Array, as_array, as_tensor, label_likelihood, one_hot, to_float, to_int, where
from gpicl_envs.errors import check_choice

# The first of each tuple is the default.
CLASSIFICATION_ACTIONS = ("label", "logits")
REGRESSION_ACTIONS = ("value",)
FEEDBACKS = ("label", "reward")
MAX_MAGNITUDE = 1e15  # of a logit or value: beyond it rewards would overflow float32


class Actions(ABC):
    """The actions of an environment, and how they are checked.

    Args:
        action_space: of one environment.
    """

    def __init__(self, action_space: Space[Any]) -> None:
        self.action_space = action_space

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return self.action_space.shape or ()

    def parse(self, actions: Any, active: Array) -> Array:
        """Return the actions as a tensor on the device of `active`, or as an array if that is one.

        Args:
            actions: (B,) labels, (B, K) logits or (B, 1) values, a tensor or an array.
            active: (B,) bool, the environments that read their action; the actions of others may be any numbers.

        Raises:
            ValueError: an action is not in the action space.
        """
        shape = (len(active), *self.shape)
        try:
            given = as_array(actions) if isinstance(active, np.ndarray) else as_tensor(actions, active.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"actions must be numbers of shape {shape}, given {actions!r}.") from error
        if tuple(given.shape) != shape:
            raise ValueError(f"actions must have shape {shape}, given {tuple(given.shape)}.")
        return self.check(given, active)

    def check(self, given: Array, active: Array = None) -> Array:
        """Return numbers (B, ...) in the dtype of the action space, if those of active environments (B,) lie in it."""
        action = self._convert(given)
        wrong = self._wrong(action)
        if active is not None:
            wrong = wrong & active.reshape(-1, *[1] * (wrong.ndim - 1))
        if wrong.any():
            raise ValueError(self._complaint(action[wrong][0].item()))
        return action

    @abstractmethod
    def _convert(self, given: Array) -> Array:
        """The numbers in the dtype of the action space."""

    @abstractmethod
    def _wrong(self, action: Array) -> Array:
        """Whether each number lies outside the action space."""

    @abstractmethod
    def _complaint(self, wrong: Any) -> str: ...


class DiscreteActions(Actions):
    """Whole numbers from 0 to n − 1."""

    kind: ClassVar[str] = "number"
    hint: ClassVar[str] = ""

    def __init__(self, n: int) -> None:
        super().__init__(Discrete(n))

    def _convert(self, given: Array) -> Array:
        """(B,) int64."""
        name = str(given.dtype)
        if "int" not in name:
            raise ValueError(f"actions must be integer {self.kind}s, given {name}{self.hint}.")
        return to_int(given)

    def _wrong(self, action: Array) -> Array:
        return (action < 0) | (action >= self.action_space.n)  # type: ignore[attr-defined]

    def _complaint(self, wrong: Any) -> str:
        last = self.action_space.n - 1  # type: ignore[attr-defined]
        return f"Action {wrong} is out of range: give a {self.kind} from 0 to {last}."


class ActionType(Actions):
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
        Actions.__init__(self, action_space)
        self.feedback, self.n_classes = feedback, n_classes
        self.feedback_space = Box(low, high, (n_classes,), np.float32)

    @abstractmethod
    def prediction(self, action: Array) -> Array:
        """Return (B,) labels, or values, that the actions predict."""

    @abstractmethod
    def reward(self, action: Array, target: Array) -> Array:
        """Return (B,) float32 rewards of the actions, given the targets (B,)."""

    @abstractmethod
    def feedback_for(self, action: Array, target: Array) -> Array:
        """Return (B, K) float32: the feedback on this example, which the next observation holds."""


class LabelAction(DiscreteActions, ActionType):
    """A label; the reward is 1 if it is right, else 0."""

    name = kind = "label"
    hint = ": use action='logits' for scores"

    def __init__(self, feedback: str, n_classes: int) -> None:
        low = 0.0 if feedback == "label" else -1.0
        ActionType.__init__(self, feedback, n_classes, Discrete(n_classes), low, 1.0)

    def prediction(self, action: Array) -> Array:
        """Return the labels (B,) themselves."""
        return action

    def reward(self, action: Array, target: Array) -> Array:
        """Return (B,) 1 or 0."""
        return to_float(action == target)

    def feedback_for(self, action: Array, target: Array) -> Array:
        """Return the one-hot label (B, K); with bandit feedback ± the one-hot prediction, + if it was right."""
        if self.feedback == "label":
            return one_hot(target, self.n_classes)
        predicted = self.prediction(action)
        shown = one_hot(predicted.clip(0, self.n_classes - 1), self.n_classes)
        return where((predicted == target)[:, None], shown, -shown)


class _RealAction(ActionType):
    """Actions that are finite float32 numbers, each a `quantity` in errors."""

    quantity: ClassVar[str]

    def _convert(self, given: Array) -> Array:
        return to_float(given)

    def _wrong(self, action: Array) -> Array:
        return ~(abs(action) <= MAX_MAGNITUDE)  # so that NaN is, too

    def _complaint(self, wrong: Any) -> str:
        allowed = f"give finite float32 {self.quantity}s of at most {MAX_MAGNITUDE:.0e} in magnitude"
        return f"An action has the {self.quantity} {wrong}: {allowed}."


class LogitsAction(_RealAction, LabelAction):
    """Logits of the labels; the reward is the log-likelihood of the true label under the softmax, in nats.

    With bandit feedback the reward is 1 if the most likely label is right, else 0; a likelihood would reveal the label.
    """

    name, quantity = "logits", "logit"

    def __init__(self, feedback: str, n_classes: int) -> None:
        super().__init__(feedback, n_classes)
        self.action_space = Box(-np.inf, np.inf, (n_classes,), np.float32)

    def prediction(self, action: Array) -> Array:
        """Return the most likely labels (B,)."""
        return action.argmax(1)

    def reward(self, action: Array, target: Array) -> Array:
        """Return (B,) log-likelihoods; 1 or 0 with bandit feedback."""
        if self.feedback == "reward":
            return super().reward(self.prediction(action), target)
        return label_likelihood(action, target)


class ValueAction(_RealAction):
    """A real value; the reward is minus the squared error."""

    name = quantity = "value"

    def __init__(self, feedback: str, n_classes: int) -> None:
        high = np.inf if feedback == "label" else 0.0
        super().__init__(feedback, n_classes, Box(-np.inf, np.inf, (1,), np.float32), -np.inf, high)

    def prediction(self, action: Array) -> Array:
        """Return the values (B,)."""
        return action[:, 0]

    def reward(self, action: Array, target: Array) -> Array:
        """Return (B,) −(ŷ − y)²."""
        return -((action[:, 0] - target) ** 2)

    def feedback_for(self, action: Array, target: Array) -> Array:
        """Return the true value (B, 1); with bandit feedback the reward."""
        return (target if self.feedback == "label" else self.reward(action, target))[:, None]


def as_single_action(action: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the action of one environment as an array of this shape; dimensions of length 1 make no difference.

    So a batch of one may be given, as policies return it that know batches alone.

    Raises:
        ValueError: it is no number or array, or of another shape.
    """
    wanted = f"numbers of shape {shape}" if shape else "one number"
    try:
        given = as_array(action)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"An action must be {wanted}, given {action!r}.") from error
    if given.shape != shape and [n for n in given.shape if n != 1] != [n for n in shape if n != 1]:
        raise ValueError(f"An action must be {wanted}, given shape {given.shape}.")
    return given.reshape(shape)


def make_action_type(action: str | None, feedback: str, n_classes: int) -> ActionType:
    """Return the action type for an environment's arguments; `action=None` is the default of the kind of problem."""
    check_choice("feedback", feedback, FEEDBACKS)
    names = REGRESSION_ACTIONS if n_classes == 1 else CLASSIFICATION_ACTIONS
    name = check_choice("action", names[0] if action is None else action, names)
    return {"label": LabelAction, "logits": LogitsAction, "value": ValueAction}[name](feedback, n_classes)
