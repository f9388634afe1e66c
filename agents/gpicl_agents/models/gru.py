"""GRU (Cho et al. 2014, arXiv:1406.1078), PyTorch's own.

State: layers · width, however many examples. Its gates are initialised as the LSTM's, so that units remember for 1 to
`memory_length` examples.
"""

import torch
from torch import nn

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.lstm import MEMORY_LENGTH, init_memory_length
from gpicl_envs.errors import check_integer


class GRU(SequenceAgent):
    """A stack of GRU layers.

    Args:
        n_layers: number of layers.
        memory_length: T, examples that the slowest unit remembers initially; the others 1 to T.
    """

    name = "gru"
    width: int = 256
    n_layers: int = 1
    memory_length: int = MEMORY_LENGTH

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.n_layers = check_integer("n_layers", self.n_layers, 1)
        self.memory_length = check_integer("memory_length", self.memory_length, 2)

    def build_layers(self) -> None:
        """Make the stack."""
        self.layers = nn.GRU(self.width, self.width, self.n_layers, batch_first=True)
        for layer in range(self.n_layers):
            init_memory_length(self.memory_length, self.layers, f"_l{layer}")

    def start_memory(self, batch: int) -> torch.Tensor:
        """Return h = 0."""
        return self.read_out.weight.new_zeros(self.n_layers, batch, self.width)

    def run(
        self, tokens: torch.Tensor, memory: torch.Tensor, directions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run all layers on the next tokens."""
        return self.layers(tokens, memory)
