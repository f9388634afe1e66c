"""GRU (Cho et al. 2014, arXiv:1406.1078), torch's own, as the memory.

State: layers · width, however many examples. Its gates begin as the LSTM's: units remember for 1 to `memory_length`
examples.
"""

import torch
from torch import nn

from gpicl_agents.models.layers import RecurrentAgent
from gpicl_agents.models.lstm import MEMORY_LENGTH, remember_for
from gpicl_envs.errors import check_integer


class GRU(RecurrentAgent):
    """A stack of GRU layers.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token and of h.
        n_layers: number of layers.
        memory_length: T, examples for which the slowest unit begins to remember; the others 1 to T.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        seed: seed of the initial weights.
    """

    name = "gru"

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 256,
        n_layers: int = 1,
        memory_length: int = MEMORY_LENGTH,
        input_rank: int | None = None,
        n_projections: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features,
            n_classes,
            tokens=tokens,
            width=width,
            input_rank=input_rank,
            n_projections=n_projections,
            seed=seed,
        )
        self.n_layers = check_integer("n_layers", n_layers, 1)
        self.memory_length = check_integer("memory_length", memory_length, 2)
        self._make()

    def build_memory(self) -> None:
        """The layers."""
        self.layers = nn.GRU(self.width, self.width, self.n_layers, batch_first=True)
        for layer in range(self.n_layers):
            remember_for(self.memory_length, self.layers, f"_l{layer}")

    def start_memory(self, rows: int) -> torch.Tensor:
        """H = 0."""
        return self.read_out.weight.new_zeros(self.n_layers, rows, self.width)

    def run(self, tokens: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All layers over all tokens."""
        return self.layers(tokens, memory)

    def memory_size(self, n_examples: int) -> int:
        """H of each layer."""
        return self.n_layers * self.width
