"""Agents that only act: `act(observation) → label`, one example after the other, as in the single environment."""

import inspect
from typing import Any

import numpy as np
import torch

from gpicl_envs.errors import check_fraction
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import find_class


class ActingLearner(Learner):
    """One new agent for each episode, which acts on the observations of `GPICL-…-v0` with `action="label"`.

    An observation is `{"x": (D,) float32, "y": (K,) float32}`: the input, and the one-hot label of the previous
    example (zeros at the first). If the class takes a `seed`, it gets 0, so that episodes are reproducible.

    Args:
        target: `module:Class`, or the class: called once for each episode.
        confidence: probability of the label that the agent chose; the rest is divided evenly among the others.
    """

    def __init__(self, target: Any, n_features: int = 784, n_classes: int = 10, confidence: float = 0.9) -> None:
        super().__init__(n_features, n_classes)
        self.target, self.confidence = target, check_fraction("confidence", confidence)
        if self.confidence * n_classes <= 1:
            raise ValueError(
                f"confidence={confidence!r} is not above 1/{n_classes}, so that other labels would be as likely as the "
                "chosen one: give a larger one."
            )
        self._made = find_class(target) if isinstance(target, str) else target
        if not callable(getattr(self._made, "act", None)):
            raise ValueError(f"{target!r} has no method act(observation): give a class whose objects have one.")

    @property
    def name(self) -> str:
        """The class's name."""
        return getattr(self._made, "__name__", "agent")

    @property
    def adapts(self) -> tuple[Any, ...]:
        """The agent's class."""
        return (self._made,)

    def start(self, batch_size: int) -> Any:
        """B new agents."""
        seeded = {"seed": 0} if "seed" in inspect.signature(self._made).parameters else {}
        return [self._made(**seeded) for _ in range(batch_size)]

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """(B, D), (B, K) → (B, K), one call of `act` for each episode; the agents keep their own state."""
        inputs, labels = x.cpu().numpy().copy(), y_previous.cpu().numpy().astype(np.float32)  # the agents' own
        actions = [self._checked(agent.act({"x": inputs[i], "y": labels[i]})) for i, agent in enumerate(state)]
        rest = (1 - self.confidence) / (self.n_classes - 1)
        logits = torch.full((len(x), self.n_classes), max(rest, 1e-6)).log()
        logits[torch.arange(len(x)), torch.tensor(actions)] = float(np.log(max(self.confidence, 1e-6)))
        return logits.to(x.device), state

    def _checked(self, action: Any) -> int:
        if not hasattr(action, "__index__") or not 0 <= int(action) < self.n_classes:
            allowed = f"a label from 0 to {self.n_classes - 1}"
            raise ValueError(f"{self.name}.act(observation) returned {action!r}, not {allowed}.")
        return int(action)
