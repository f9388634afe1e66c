"""LSTM (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735), torch's own, as the memory.

State: layers · 2 · width, however many examples. All that was seen must fit into it, which is why the paper finds that
the size of the state, and not the number of parameters, predicts learning.
"""

import torch
from torch import nn

from gpicl_agents.recurrent import RecurrentAgent
from gpicl_envs.errors import check_integer

State = tuple[torch.Tensor, torch.Tensor]


class LSTM(RecurrentAgent):
    """A stack of LSTM layers; forget gates begin open (bias 1).

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token, of h and of c.
        n_layers: number of layers.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_views: V, projections through which `eval()` mode predicts.
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
        input_rank: int | None = None,
        n_views: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features, n_classes, tokens=tokens, width=width, input_rank=input_rank, n_views=n_views, seed=seed
        )
        self.n_layers = check_integer("n_layers", n_layers, 1)
        self._make()

    def build_memory(self) -> None:
        """The layers."""
        self.layers = nn.LSTM(self.width, self.width, self.n_layers, batch_first=True)
        for layer in range(self.n_layers):
            open_forget_gates(getattr(self.layers, f"bias_hh_l{layer}"))

    def start_memory(self, rows: int) -> State:
        """H = c = 0."""
        zeros = self.read_out.weight.new_zeros(self.n_layers, rows, self.width)
        return zeros, zeros

    def run(self, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
        """All layers over all tokens."""
        return self.layers(tokens, memory)

    def memory_size(self, n_examples: int) -> int:
        """H and c of each layer."""
        return 2 * self.n_layers * self.width


def open_forget_gates(bias: torch.Tensor) -> None:
    """Add 1 to the second quarter of a bias (4 · width), the forget gates' (Gers et al. 2000)."""
    with torch.no_grad():
        bias.view(4, -1)[1] += 1.0
