"""Online stochastic gradient descent: one pass, one example at a time, as in Table 1 of the paper."""

from typing import Any

import torch
from torch.nn.functional import normalize

from gpicl_baselines.classical.causal import centred, inner_products, unit
from gpicl_envs.errors import check_positive
from gpicl_envs.learners.base import Learner, encoded


class OnlineSGD(Learner):
    """A linear softmax classifier W, updated once by each example: W ← W − η ∇ cross-entropy.

    The features φ are the input centred by its running mean and scaled to norm 1, so that η does not depend on D.
    `step` keeps the weights. `predict` computes the same in dual form: since W = −η Σ_i e_i φ_iᵀ with e_i the error at
    example i, logits_n = −η Σ_{i<n} e_i ⟨φ_i, φ_n⟩ needs no weights, and is D / N times cheaper.

    Args:
        learning_rate: η.
    """

    name = "sgd"

    def __init__(self, n_features: int = 784, n_classes: int = 10, learning_rate: float = 4.0) -> None:
        super().__init__(n_features, n_classes)
        self.learning_rate = check_positive("learning_rate", learning_rate)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D), (B, N) → (B, N, K)."""
        products = inner_products(unit(centred(x)))
        labels = encoded(y, self.n_classes)
        errors, logits = torch.zeros_like(labels), torch.zeros_like(labels)
        for n in range(y.shape[1]):
            logits[:, n] = -self.learning_rate * torch.einsum("bi,bik->bk", products[:, n, :n], errors[:, :n])
            errors[:, n] = logits[:, n].softmax(1) - labels[:, n]
        return logits

    def start(self, batch_size: int) -> Any:
        """Weights (B, K, D) at 0, the sum of the inputs, their number, and no example to learn from yet."""
        weights = torch.zeros(batch_size, self.n_classes, self.n_features)
        return weights, torch.zeros(batch_size, self.n_features), 0, None

    def step(self, state: Any, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Learn from the previous example, then predict: (B, D), (B, K) → (B, K)."""
        weights, total, n, pending = state
        weights, total = weights.to(x.device), total.to(x.device) + x
        if pending is not None:
            features, logits = pending
            error = logits.softmax(1) - y_previous
            weights = weights - self.learning_rate * error.unsqueeze(2) * features.unsqueeze(1)
        features = normalize(x - total / (n + 2), dim=1)
        logits = torch.bmm(weights, features.unsqueeze(2)).squeeze(2)
        return logits, (weights, total, n + 1, (features, logits))

    def state_size(self, n_examples: int) -> int:
        """The weights, and the sum of the inputs."""
        return self.n_classes * self.n_features + self.n_features
