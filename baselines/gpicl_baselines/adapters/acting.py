"""Agents that only act: `act(observation) → label`, one example after the other, as in the single environment."""

import inspect
from typing import Any

import numpy as np
import torch

from gpicl_envs.errors import check_fraction
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import find_class


class ActingLearner(Learner):
    """One fresh agent for each episode, asked at every example as `GPICL-…-v0` with `action="label"` would ask it.

    An observation is `{"x": (D,) float32, "y": (K,) float32}`: the input, and the one-hot label of the example before
    (zeros at the first). Where the class takes `seed`, it gets 0, so that an episode can be repeated.

    Args:
        target: `module:Class`, or the class: called once for each episode.
        n_features: D.
        n_classes: K.
        confidence: likelihood of the label that was answered; the others share the rest.
    """

    def __init__(self, target: Any, n_features: int = 784, n_classes: int = 10, confidence: float = 0.9) -> None:
        super().__init__(n_features, n_classes)
        self.target, self.confidence = target, check_fraction("confidence", confidence)
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
        """Ask each agent: (B, D), (B, K) → (B, K). The agents keep their own memory."""
        inputs, labels = x.cpu().numpy(), y_previous.cpu().numpy().astype(np.float32)
        answers = [self._checked(agent.act({"x": inputs[i], "y": labels[i]})) for i, agent in enumerate(state)]
        rest = (1 - self.confidence) / (self.n_classes - 1)
        logits = torch.full((len(x), self.n_classes), max(rest, 1e-6)).log()
        logits[torch.arange(len(x)), torch.tensor(answers)] = float(np.log(max(self.confidence, 1e-6)))
        return logits.to(x.device), state

    def _checked(self, answer: Any) -> int:
        if not hasattr(answer, "__index__") or not 0 <= int(answer) < self.n_classes:
            allowed = f"a label from 0 to {self.n_classes - 1}"
            raise ValueError(f"{self.name}.act(observation) returned {answer!r}, not {allowed}.")
        return int(answer)
