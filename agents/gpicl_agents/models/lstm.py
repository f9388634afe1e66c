"""LSTM (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735), torch's own, as the memory.

State: layers · 2 · width, however many examples. All that was seen must fit into it, which is why the paper finds that
the size of the state, and not the number of parameters, predicts learning. Its gates begin so that units remember for
1 to `memory_length` examples (chrono initialisation, Tallec & Ollivier 2018, arXiv:1804.11188): without, it stays at
chance for as long as we waited.
"""

import torch
from torch import nn

from gpicl_agents.models.layers import RecurrentAgent
from gpicl_envs.errors import check_integer

MEMORY_LENGTH = 100  # examples: that of an episode

State = tuple[torch.Tensor, torch.Tensor]


class LSTM(RecurrentAgent):
    """A stack of LSTM layers.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token, of h and of c.
        n_layers: number of layers.
        memory_length: T, examples for which the slowest unit begins to remember; the others 1 to T.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        seed: seed of the initial weights.
    """

    name = "lstm"

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
        self.layers = nn.LSTM(self.width, self.width, self.n_layers, batch_first=True)
        for layer in range(self.n_layers):
            remember_for(self.memory_length, self.layers, f"_l{layer}")

    def start_memory(self, rows: int) -> State:
        """H = c = 0."""
        zeros = self.read_out.weight.new_zeros(self.n_layers, rows, self.width)
        return zeros, zeros

    def run(self, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
        """All layers over all tokens."""
        return run_layers(self.layers, tokens, memory)

    def memory_size(self, n_examples: int) -> int:
        """H and c of each layer."""
        return 2 * self.n_layers * self.width


def run_layers(layers: nn.LSTM, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
    """(B, T, width) tokens → the same shape, and the memory after them.

    On a CPU in the weights' precision: oneDNN has no bfloat16 LSTM for CPUs without AVX-512.
    """
    if tokens.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return layers(tokens.to(memory[0].dtype), memory)
    return layers(tokens, memory)


def remember_for(length: int, layer: nn.Module, suffix: str = "") -> None:
    """Give an LSTM's or a GRU's gates the biases by which units remember for 1 to `length` examples.

    Chrono initialisation (Tallec & Ollivier 2018, equation 16): the gate that keeps has bias b = log u with u uniform
    in [1, length], and an LSTM's input gate −b; all other biases are 0.

    Args:
        length: of the longest memory.
        layer: what has the parameters `bias_ih` and `bias_hh`, in torch's order of gates.
        suffix: of the parameters' names, as `"_l0"` in `nn.LSTM`.
    """
    given: torch.Tensor = getattr(layer, f"bias_ih{suffix}")
    recurrent: torch.Tensor = getattr(layer, f"bias_hh{suffix}")
    nn.init.zeros_(given)
    nn.init.zeros_(recurrent)
    width = len(recurrent) // (4 if isinstance(layer, nn.LSTM | nn.LSTMCell) else 3)
    keep = torch.empty(width).uniform_(1.0, length).log()
    with torch.no_grad():
        recurrent[width : 2 * width] = keep  # an LSTM's forget gate, a GRU's update gate: the second in both
        if len(recurrent) == 4 * width:
            recurrent[:width] = -keep
