"""Several learners as one: the mean of their predictions, or one weighted by their errors so far.

`ensemble:knn+(kernel-ridge,gamma=0.5)`, `ensemble:knn+ridge,learning_rate=0.4`.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from gpicl_envs.errors import check_number, shortened
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import LearnerSpec, split_outside_brackets


class Ensemble(torch.nn.Module, Learner):
    """The mean of its members' probabilities (Lakshminarayanan et al. 2017), or of their values for regression.

    With a learning rate η, a member that was wrong about m labels of the episode so far has a weight proportional to
    exp(−η m), the weights of Hedge with β = exp(−η) (Freund and Schapire 1997, "A decision-theoretic generalization of
    on-line learning", figure 1).

    A prediction costs as much as those of all members together.

    Args:
        members: learners of the same D and K.
        learning_rate: η of the weights; 0 for equal ones.

    Raises:
        ValueError: there are fewer than two members, their sizes differ, or η is negative, or not 0 for regression.
    """

    predicts_values = True

    def __init__(self, members: Sequence[Learner], learning_rate: float = 0.0) -> None:
        if len(members) < 2:
            raise ValueError(f"An ensemble has at least two members, not {len(members)}: give ensemble:knn+ridge.")
        if not all(isinstance(each, Learner) for each in members):
            raise ValueError("An ensemble is made of learners: the oracle, which knows the hidden tasks, is none.")
        sizes = {(each.n_features, each.n_classes) for each in members}
        if len(sizes) > 1:
            given = ", ".join(f"{each.name} D = {each.n_features} and K = {each.n_classes}" for each in members)
            raise ValueError(f"The members of an ensemble must take the same D and K, but these differ: {given}.")
        torch.nn.Module.__init__(self)
        Learner.__init__(self, *sizes.pop())
        self.learning_rate = check_number("learning_rate", learning_rate, 0.0)
        if learning_rate and self.n_classes == 1:
            raise ValueError("learning_rate weights an ensemble by its errors, and values have none: leave it 0.")
        self.members = tuple(members)
        self._trained = torch.nn.ModuleList(each for each in members if isinstance(each, torch.nn.Module))

    @property
    def name(self) -> str:
        """The names of all members, and a learning rate that is not 0."""
        weighted = f", learning_rate={self.learning_rate:g}" if self.learning_rate else ""
        return f"ensemble({', '.join(each.name for each in self.members)}{weighted})"

    @property
    def adapts(self) -> tuple[Any, ...]:
        """The classes of the members, and what these adapt."""
        return tuple(made for each in self.members for made in (type(each), *each.adapts))

    def fingerprint(self) -> str:
        """What members say of themselves beyond their source code and weights."""
        return "\n".join(str(each.fingerprint()) for each in self.members if hasattr(each, "fingerprint"))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        predictions = self._predictions(x, y)
        if not self.learning_rate:
            return self._mean(predictions)
        wrong = _wrong(predictions, y)
        return self._mean(predictions, wrong.cumsum(2) - wrong)

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N), (B, Q, D) → (B, Q, K)."""
        predictions = torch.stack([each.predict_queries(x, y, queries).float() for each in self.members])
        if not self.learning_rate:
            return self._mean(predictions)
        return self._mean(predictions, _wrong(self._predictions(x, y), y).sum(2, keepdim=True))

    def start(self, batch_size: int) -> Any:
        """Return the states of the members, their last predictions and their errors, which are none yet."""
        return [each.start(batch_size) for each in self.members], None, None

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """(B, D), (B, K) → (B, K) and the next states."""
        states, last, errors = state
        if self.learning_rate:
            none = torch.zeros(len(states), len(x), device=x.device)
            errors = none if last is None else errors + _wrong(last, y_previous.argmax(-1))
        steps = [each.step(own, x, y_previous) for each, own in zip(self.members, states, strict=True)]
        predictions = torch.stack([logits.float() for logits, _ in steps])
        return self._mean(predictions, errors), ([own for _, own in steps], predictions, errors)

    def state_size(self, n_examples: int) -> int:
        """Return the sum over the members, and what their weights need: the errors and the last predictions."""
        own = len(self.members) * (1 + self.n_classes) if self.learning_rate else 0
        return own + sum(each.state_size(n_examples) for each in self.members)

    def critical_positions(self, length: int) -> Sequence[int]:
        """Return those of any member."""
        return sorted({position for each in self.members for position in each.critical_positions(length)})

    def _predictions(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(M, B, N, K) logits or values of the members."""
        return torch.stack([each.predict(x, y).float() for each in self.members])

    def _mean(self, predictions: torch.Tensor, errors: torch.Tensor | None = None) -> torch.Tensor:
        """(M, …, K) and the errors before, (M, …) → logits (…, K) of the mean of the probabilities, or mean values."""
        if self.n_classes == 1:
            return predictions.mean(0)
        logits = predictions.log_softmax(-1)
        if errors is None:
            return logits.logsumexp(0) - torch.tensor(float(len(predictions))).log()
        weights = (-self.learning_rate * errors).log_softmax(0)
        return (logits + weights[..., None]).logsumexp(0)


def _wrong(predictions: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(M, …, K) logits, (…) labels → (M, …): 1 where the most likely label is another."""
    return (predictions.argmax(-1) != y).float()


def make_ensemble(
    text: str, n_features: int = 784, n_classes: int = 10, learning_rate: float = 0.0, **others: Any
) -> Ensemble:
    """Make an `Ensemble` from the names of its members.

    Args:
        text: two or more learners, joined by `+`; one with arguments, or with a + in its name, stands in brackets.
        n_features: D of the members that have no size of their own.
        n_classes: K, likewise.
        learning_rate: η of the weights; 0 for equal ones.
        **others: refused: an ensemble has no further arguments, and those of its members stand in brackets.
    """
    parts = split_outside_brackets(text, "+")
    if any(part.count("(") != part.count(")") for part in parts):
        raise ValueError(f"ensemble:{text} has brackets that do not match: a member with arguments stands in a pair.")
    if others:
        raise ValueError(
            f"An ensemble has no argument {shortened(next(iter(others)))}, its own is learning_rate: give members with "
            "arguments in brackets, as in ensemble:(knn,k=3)+ridge."
        )
    names = [part[1:-1] if part.startswith("(") and part.endswith(")") else part for part in parts]
    if not all(names):
        raise ValueError(f"ensemble:{text} has a member without a name: give learners joined by +, as in knn+ridge.")
    sizes = SimpleNamespace(n_features=n_features, n_classes=n_classes, device=torch.device("cpu"))
    return Ensemble([LearnerSpec.parse(each).make_for(sizes) for each in names], learning_rate)
