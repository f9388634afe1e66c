"""Classifiers trained within the episode by gradient steps: SGD or Adam, linear or an MLP, on new or on all examples.

One small network per episode, its weights a dict of tensors with a leading axis of episodes: `torch.func.vmap` of
`torch.func.grad` trains them side by side. `maml.py` meta-trains where such a network starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import grad, vmap
from torch.nn.functional import linear, normalize, relu

from gpicl_envs.errors import check_choice, check_integer, check_positive
from gpicl_envs.learners.base import Learner

OPTIMIZERS = ("sgd", "adam")
BETAS, EPS = (0.9, 0.999), 1e-8

Weights = dict[str, torch.Tensor]
Moments = tuple[Weights, Weights]  # running means of the gradients and of their squares


def apply_network(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    """Inputs (M, D) → logits (M, K) of one network. The vector of hidden units is scaled to norm near 1."""
    if "in" in weights:
        x = relu(linear(x, weights["in"], weights["in_bias"])) * weights["in"].shape[0] ** -0.5
        x = x * (weights["in"].shape[1] ** 0.5)
    return linear(x, weights["out"], weights["out_bias"])


def loss(weights: Weights, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """One network: mean cross-entropy in nats of inputs (M, D) with one-hot labels (M, K)."""
    return -(apply_network(weights, x).log_softmax(1) * y).sum(1).mean()


gradients: Callable[[Weights, torch.Tensor, torch.Tensor], Weights] = vmap(grad(loss))
apply_networks: Callable[[Weights, torch.Tensor], torch.Tensor] = vmap(apply_network)


@dataclass
class GradientState:
    """The state of a `GradientLearner` after n examples of B episodes.

    Args:
        weights: of B networks.
        total: (B, D) sum of the inputs.
        x: (B, n, D) features of the examples; without replay, of the last only.
        y: (B, n−1, K) their one-hot labels; that of the last is not known yet.
        moments: of Adam; None for SGD, and before the first step.
        n: examples seen.
    """

    weights: Weights
    total: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    moments: Moments | None = None
    n: int = 0


class GradientLearner(Learner):
    """A softmax classifier, linear or with one hidden layer, that takes gradient steps after each example.

    The features are the input centred by its running mean and scaled to norm 1. Every episode starts from the same
    weights, which are kept from example to example: with enough steps on all examples seen, this is the network fitted
    to convergence at every position, starting from the previous fit.

    Args:
        optimizer: `"sgd"` or `"adam"`.
        hidden: units of the hidden layer, or None for a linear classifier.
        passes: 0 for one step on the newest example only; n ≥ 1 for n steps, each on the mean loss of all examples
            seen (replay).
        learning_rate: of the optimizer.
        seed: seed of the hidden layer's initial weights.
    """

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        optimizer: str = "adam",
        hidden: int | None = None,
        passes: int = 0,
        learning_rate: float = 0.03,
        seed: int = 0,
    ) -> None:
        super().__init__(n_features, n_classes)
        self.optimizer = check_choice("optimizer", optimizer, OPTIMIZERS)
        self.hidden = None if hidden is None else check_integer("hidden", hidden, 1)
        self.passes = check_integer("passes", passes, 0)
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.seed = check_integer("seed", seed, 0)

    @property
    def name(self) -> str:
        """The optimizer, the network, and the passes over all examples, if any."""
        network = "linear" if self.hidden is None else f"mlp{self.hidden}"
        return f"{self.optimizer}-{network}" + (f"-{self.passes}-passes" if self.passes else "")

    def start(self, batch_size: int) -> GradientState:
        """Weights that give equal logits for every input, and no examples."""
        weights = {name: value.expand(batch_size, *value.shape) for name, value in self.initial_weights().items()}
        return GradientState(
            weights,
            total=torch.zeros(batch_size, self.n_features),
            x=torch.zeros(batch_size, 0, self.n_features),
            y=torch.zeros(batch_size, 0, self.n_classes),
        )

    def step(self, state: GradientState, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Learn from the previous examples, then predict: (B, D), (B, K) → (B, K)."""
        if state.n:
            kept = state.y if self.passes else state.y[:, :0]
            y = torch.cat([kept, y_previous[:, None].to(x.dtype)], 1)
            weights, moments = self.learn(state, y)
        else:
            weights = {name: value.to(x.device) for name, value in state.weights.items()}
            y, moments = state.y.to(x.device), None
        total = state.total.to(x.device) + x
        features = normalize(x - total / (state.n + 2), dim=1)[:, None]
        logits = apply_networks(weights, features)[:, 0]
        seen = torch.cat([state.x.to(x.device), features], 1) if self.passes else features
        return logits, GradientState(weights, total, seen, y, moments, state.n + 1)

    def state_size(self, n_examples: int) -> int:
        """The weights, Adam's moments of them, the sum of the inputs, and with replay the examples."""
        weights = sum(value.numel() for value in self.initial_weights().values())
        examples = super().state_size(n_examples) if self.passes else 0
        return weights * (3 if self.optimizer == "adam" else 1) + self.n_features + examples

    def initial_weights(self) -> Weights:
        """Return the weights of one network at the start of an episode: equal logits, and a Gaussian hidden layer."""
        n_features, n_classes, hidden = self.n_features, self.n_classes, self.hidden
        if hidden is None:
            return {"out": torch.zeros(n_classes, n_features), "out_bias": torch.zeros(n_classes)}
        generator = torch.Generator().manual_seed(self.seed)  # leaves the global random stream alone
        return {
            "in": torch.randn(hidden, n_features, generator=generator) * (2 / n_features) ** 0.5,
            "in_bias": torch.zeros(hidden),
            "out": torch.zeros(n_classes, hidden),
            "out_bias": torch.zeros(n_classes),
        }

    def learn(self, state: GradientState, y: torch.Tensor) -> tuple[Weights, Moments | None]:
        """Take the steps that follow the newest example, given the labels (B, M, K) of the examples learned from."""
        weights, moments, passes = state.weights, state.moments, max(1, self.passes)
        for step in range((state.n - 1) * passes, state.n * passes):
            slopes = gradients(weights, state.x, y)
            if self.optimizer == "sgd":
                weights = self.descend(weights, slopes)
            else:
                weights, moments = self._adam(weights, slopes, moments, step + 1)
        return weights, moments

    def descend(self, weights: Weights, slopes: Weights) -> Weights:
        """Take one step of gradient descent."""
        return {name: value - self.learning_rate * slopes[name] for name, value in weights.items()}

    def _adam(self, weights: Weights, slopes: Weights, moments: Moments | None, steps: int) -> tuple[Weights, Moments]:
        """One step of Adam (Kingma and Ba, 2015)."""
        if moments is None:
            zeros = {name: torch.zeros_like(value) for name, value in weights.items()}
            moments = zeros, zeros
        mean = {name: value.lerp(slopes[name], 1 - BETAS[0]) for name, value in moments[0].items()}
        square = {name: value.lerp(slopes[name].square(), 1 - BETAS[1]) for name, value in moments[1].items()}
        rate = self.learning_rate / (1 - BETAS[0] ** steps)
        correction = (1 - BETAS[1] ** steps) ** -0.5
        moved = {
            name: value - rate * mean[name] / (square[name].sqrt() * correction + EPS)
            for name, value in weights.items()
        }
        return moved, (mean, square)
