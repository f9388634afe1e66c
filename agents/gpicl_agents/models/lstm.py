"""LSTM (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735), PyTorch's own.

State: layers · 2 · width, however many examples. Everything seen must fit into it, which is why the paper finds that
the size of the state, and not the number of parameters, predicts learning. Its gates are initialised so that units
remember for 1 to `memory_length` examples (chrono initialisation, Tallec & Ollivier 2018, arXiv:1804.11188); without
this, it stayed at chance for as long as we trained it.
"""

from typing import Any, ClassVar

import torch
from torch import nn

from gpicl_agents.models.base import SequenceAgent
from gpicl_envs.errors import check_integer

MEMORY_LENGTH = 100  # examples in a default episode

State = tuple[torch.Tensor, torch.Tensor]


class RecurrentAgent(SequenceAgent):
    """A stack of PyTorch's recurrent layers; a subclass sets `layer_class`, and provides `start_memory` and `run`.

    Args:
        n_layers: number of layers.
        memory_length: T, examples that the slowest unit remembers initially; the others 1 to T.
    """

    layer_class: ClassVar[Any]

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
        self.layers = self.layer_class(self.width, self.width, self.n_layers, batch_first=True)
        for layer in range(self.n_layers):
            init_memory_length(self.memory_length, self.layers, f"_l{layer}")


class LSTM(RecurrentAgent):
    """A stack of LSTM layers."""

    name = "lstm"
    layer_class = nn.LSTM

    def start_memory(self, batch: int) -> State:
        """Return h = c = 0."""
        zeros = self.read_out.weight.new_zeros(self.n_layers, batch, self.width)
        return zeros, zeros

    def run(self, tokens: torch.Tensor, memory: State, directions: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Run all layers on the next tokens."""
        return run_lstm(self.layers, tokens, memory)


def run_lstm(layers: nn.LSTM, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
    """(B, T, width) tokens → the same shape, and the memory after them.

    On a CPU in the precision of the weights: oneDNN has no bfloat16 LSTM for CPUs without AVX-512.
    """
    if tokens.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return layers(tokens.to(memory[0].dtype), memory)
    return layers(tokens, memory)


def init_memory_length(length: int, layer: nn.Module, suffix: str = "") -> None:
    """Initialise the biases of an LSTM's or a GRU's gates so that units remember for 1 to `length` examples.

    Chrono initialisation (Tallec & Ollivier 2018, equation 16): the gate that keeps the state has bias b = log u, u
    uniform in [1, length], and an LSTM's input gate −b; all other biases are 0.

    Args:
        length: of the longest memory.
        layer: what has the parameters `bias_ih` and `bias_hh`, in PyTorch's order of gates.
        suffix: of the parameters' names, such as `"_l0"` in `nn.LSTM`.
    """
    inputs: torch.Tensor = getattr(layer, f"bias_ih{suffix}")
    recurrent: torch.Tensor = getattr(layer, f"bias_hh{suffix}")
    nn.init.zeros_(inputs)
    nn.init.zeros_(recurrent)
    width = len(recurrent) // (4 if isinstance(layer, nn.LSTM | nn.LSTMCell) else 3)
    keep = torch.empty(width).uniform_(1.0, length).log()
    with torch.no_grad():
        recurrent[width : 2 * width] = keep  # an LSTM's forget gate, a GRU's update gate: the second in both
        if len(recurrent) == 4 * width:
            recurrent[:width] = -keep
