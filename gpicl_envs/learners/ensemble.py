"""Several learners as one: the mean of their predictions, `ensemble:knn+(kernel-ridge,gamma=0.5)`."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import LearnerSpec, split_outside_brackets


class Ensemble(torch.nn.Module, Learner):
    """The mean of its members' probabilities (Lakshminarayanan et al. 2017), or of their values for regression.

    A prediction costs as much as those of all members together.

    Args:
        members: learners of the same D and K.

    Raises:
        ValueError: there are fewer than two members, or their sizes differ.
    """

    predicts_values = True

    def __init__(self, members: Sequence[Learner]) -> None:
        if len(members) < 2:
            raise ValueError(f"An ensemble has at least two members, not {len(members)}: give ensemble:knn+ridge.")
        sizes = {(each.n_features, each.n_classes) for each in members}
        if len(sizes) > 1:
            given = ", ".join(f"{each.name} D = {each.n_features} and K = {each.n_classes}" for each in members)
            raise ValueError(f"The members of an ensemble must take the same D and K, but these differ: {given}.")
        torch.nn.Module.__init__(self)
        Learner.__init__(self, *sizes.pop())
        self.members = tuple(members)
        self._trained = torch.nn.ModuleList(each for each in members if isinstance(each, torch.nn.Module))

    @property
    def name(self) -> str:
        """The names of all members."""
        return f"ensemble({', '.join(each.name for each in self.members)})"

    @property
    def adapts(self) -> tuple[Any, ...]:
        """The classes of the members, and what these adapt."""
        return tuple(made for each in self.members for made in (type(each), *each.adapts))

    def fingerprint(self) -> str:
        """What members say of themselves beyond their source code and weights."""
        return "\n".join(str(each.fingerprint()) for each in self.members if hasattr(each, "fingerprint"))

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        return self._mean([each.predict(x, y) for each in self.members])

    def predict_queries(self, x: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N), (B, Q, D) → (B, Q, K)."""
        return self._mean([each.predict_queries(x, y, queries) for each in self.members])

    def start(self, batch_size: int) -> Any:
        """Return the states of the members."""
        return [each.start(batch_size) for each in self.members]

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """(B, D), (B, K) → (B, K) and the next states."""
        steps = [each.step(own, x, y_previous) for each, own in zip(self.members, state, strict=True)]
        return self._mean([logits for logits, _ in steps]), [own for _, own in steps]

    def state_size(self, n_examples: int) -> int:
        """Return the sum over the members."""
        return sum(each.state_size(n_examples) for each in self.members)

    def critical_positions(self, length: int) -> Sequence[int]:
        """Return those of any member."""
        return sorted({position for each in self.members for position in each.critical_positions(length)})

    def _mean(self, predictions: list[torch.Tensor]) -> torch.Tensor:
        """Logits (…, K) of the mean of the probabilities, or the mean of the values."""
        stacked = torch.stack([each.float() for each in predictions])
        if self.n_classes == 1:
            return stacked.mean(0)
        return stacked.log_softmax(-1).logsumexp(0) - torch.tensor(float(len(stacked))).log()


def make_ensemble(text: str, n_features: int = 784, n_classes: int = 10) -> Ensemble:
    """Make an `Ensemble` from the names of its members.

    Args:
        text: two or more learners, joined by `+`; one with arguments, or with a + in its name, stands in brackets.
        n_features: D of the members that have no size of their own.
        n_classes: K, likewise.
    """
    parts = split_outside_brackets(text, "+")
    if any(part.count("(") != part.count(")") for part in parts):
        raise ValueError(f"ensemble:{text} has brackets that do not match: a member with arguments stands in a pair.")
    names = [part[1:-1] if part.startswith("(") and part.endswith(")") else part for part in parts]
    if not all(names):
        raise ValueError(f"ensemble:{text} has a member without a name: give learners joined by +, as in knn+ridge.")
    sizes = SimpleNamespace(n_features=n_features, n_classes=n_classes, device=torch.device("cpu"))
    return Ensemble([LearnerSpec.parse(each).make_for(sizes) for each in names])
