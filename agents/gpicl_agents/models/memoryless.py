"""A memoryless MLP: it predicts from the current input alone, so it can memorise tasks but never learn in context.

The paper's control (in its heat map of tasks against model size): whatever it knows is in its weights.

State: none.
"""

import torch
from torch import nn
from torch.nn.functional import normalize

from gpicl_envs.errors import check_integer
from gpicl_envs.learners.base import Learner


class MemorylessMLP(Learner, nn.Module):
    """An MLP of x_n.

    Args:
        width: hidden size.
        n_layers: hidden layers.
        seed: seed of the initial weights.
    """

    name = "memoryless-mlp"
    predicts_values = True

    def __init__(
        self, n_features: int = 784, n_classes: int = 10, *, width: int = 256, n_layers: int = 2, seed: int = 0
    ) -> None:
        super().__init__(n_features, n_classes)
        self.width = check_integer("width", width, 1)
        self.n_layers = check_integer("n_layers", n_layers, 1)
        self.seed = check_integer("seed", seed, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for size in [n_features, *[width] * (n_layers - 1)]:
                layers += [nn.Linear(size, width), nn.GELU(), nn.LayerNorm(width)]
            read_out = nn.Linear(width, n_classes)
        nn.init.zeros_(read_out.weight)
        nn.init.zeros_(read_out.bias)
        self.network = nn.Sequential(*layers, read_out)

    def predict(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, D) → (B, N, K); the labels are not used."""
        return self._logits(x)

    def start(self, batch_size: int) -> None:
        """No state."""

    def step(self, state: None, x: torch.Tensor, y_previous: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(B, D) → (B, K)."""
        return self._logits(x), None

    def state_size(self, n_examples: int) -> int:
        """None."""
        return 0

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(next(self.parameters()).dtype)
        return self.network(normalize(x, dim=-1) * self.n_features**0.5 if self.n_classes > 1 else x)
