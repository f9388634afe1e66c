"""MAML (Finn, Abbeel and Levine 2017) and Reptile (Nichol, Achiam and Schulman 2018), online.

Within an episode a small network takes one step of gradient descent on each example, after predicting its label, as a
`GradientLearner` does. Its initial weights, and with MAML the learning rate of each tensor (Meta-SGD, Li et al. 2017),
are meta-trained.
"""

from typing import Any

import torch
from torch import nn

from gpicl_baselines.gradient.gradient_learner import GradientLearner, Weights
from gpicl_envs.errors import check_choice, check_positive
from gpicl_envs.learners.base import encoded

UPDATES = ("second-order", "first-order", "reptile")


class MAML(GradientLearner, nn.Module):
    """A softmax classifier, linear or with one hidden layer, whose initial weights were meta-trained.

    The features are the input centred by its running mean and scaled to norm 1. With `update="second-order"` the
    gradients of the loss flow through the inner steps; with `"first-order"` inner gradients are treated as constants
    (the paper's FOMAML); with `"reptile"` the initial weights θ move towards the adapted ones φ whatever the loss:
    their gradient is θ − φ.

    Args:
        hidden: units of the hidden layer, or None for a linear classifier.
        inner_rate: initial learning rate of the inner steps; a hundredth of it for biases, which every example moves.
        update: `"second-order"`, `"first-order"` or `"reptile"`, whose learning rate is not trained.
        seed: seed of the hidden layer's initial weights.
    """

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        hidden: int | None = None,
        inner_rate: float = 4.0,
        update: str = "second-order",
        seed: int = 0,
    ) -> None:
        super().__init__(n_features, n_classes, optimizer="sgd", hidden=hidden, seed=seed)
        self.inner_rate = check_positive("inner_rate", inner_rate)
        self.update = check_choice("update", update, UPDATES)
        first = super().initial_weights()
        self.initial = nn.ParameterDict({name: nn.Parameter(value) for name, value in first.items()})
        rates = {name: torch.tensor(inner_rate * (0.01 if "bias" in name else 1)).log() for name in first}
        learned = update != "reptile"
        self.log_rates = nn.ParameterDict({name: nn.Parameter(rate, learned) for name, rate in rates.items()})

    @property
    def name(self) -> str:
        """`maml`, `fomaml` or `reptile`."""
        return {"second-order": "maml", "first-order": "fomaml", "reptile": "reptile"}[self.update]

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        if self.update != "reptile" or not torch.is_grad_enabled():
            return super().predict(x, y)
        with torch.no_grad():
            labels = encoded(y, self.n_classes)
            state, rows = self.start(len(x)), []
            for n in range(x.shape[1]):
                logits, state = self.step(state, x[:, n], labels[:, n - 1] if n else torch.zeros_like(labels[:, 0]))
                rows.append(logits)
            adapted, _ = self.learn(state, labels[:, -1:])
        predicted = torch.stack(rows, 1)
        for name, start in self.initial.items():
            predicted = _TowardsAdapted.apply(predicted, start, adapted[name].mean(0))
        return predicted

    def initial_weights(self) -> Weights:
        """The meta-trained ones."""
        return dict(self.initial)

    def descend(self, weights: Weights, slopes: Weights) -> Weights:
        """One inner step, with the learning rate of each tensor."""
        if self.update == "first-order":
            slopes = {name: slope.detach() for name, slope in slopes.items()}
        return {name: value - self.log_rates[name].exp() * slopes[name] for name, value in weights.items()}


class _TowardsAdapted(torch.autograd.Function):
    """Returns the logits unchanged; the gradient of the initial weights θ is θ − φ, whatever that of the logits."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, start: torch.Tensor, adapted: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(start.detach() - adapted)
        return logits.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (direction,) = ctx.saved_tensors
        return gradient, direction, None
