"""GRU (Cho et al. 2014, arXiv:1406.1078), PyTorch's own.

State: layers · width, however many examples. Its gates are initialised as the LSTM's, so that units remember for 1 to
`memory_length` examples.
"""

import torch
from torch import nn

from gpicl_agents.models.lstm import RecurrentAgent


class GRU(RecurrentAgent):
    """A stack of GRU layers."""

    name = "gru"
    layer_class = nn.GRU

    def start_memory(self, batch: int) -> torch.Tensor:
        """Return h = 0."""
        return self.read_out.weight.new_zeros(self.n_layers, batch, self.width)

    def run(
        self, tokens: torch.Tensor, memory: torch.Tensor, directions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run all layers on the next tokens."""
        return self.layers(tokens, memory)
