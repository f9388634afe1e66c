"""Outer-product LSTM: an LSTM that writes to a fast-weight memory by outer products and reads it by inner products.

Fast weights after Schmidhuber (1992, doi:10.1162/neco.1992.4.1.131) and Schlag & Schmidhuber (2017), as the paper's
"outer product LSTM"; the paper gives no equations, so these are ours. For each head, with h_t the LSTM's output on the
token and the last read, q and k of unit norm, and M the memory (d × d):

    h_t = LSTM([x_t, r_{t−1}])        q_t, k_t, v_t, β_t, α_t = projections of h_t, β and α through σ
    M_t = α_t M_{t−1} + β_t v_t k_tᵀ        r_t = M_t q_t        out = h_t + W r_t

State: heads · d² + 2 · width + width, with width = heads · d, however many examples.
"""

import torch
from torch import nn
from torch.nn.functional import normalize

from gpicl_agents.lstm import remember_for
from gpicl_agents.recurrent import RecurrentAgent
from gpicl_envs.errors import check_integer

MEMORY_LENGTH = 100

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class OuterProductLSTM(RecurrentAgent):
    """One LSTM layer with fast weights.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token and of h.
        n_heads: memories side by side; it must divide the width.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_views: V, projections through which `eval()` mode predicts.
        seed: seed of the initial weights.
    """

    name = "outer-product-lstm"

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 128,
        n_heads: int = 1,
        input_rank: int | None = None,
        n_views: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features, n_classes, tokens=tokens, width=width, input_rank=input_rank, n_views=n_views, seed=seed
        )
        self.n_heads = check_integer("n_heads", n_heads, 1)
        if width % n_heads:
            raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")
        self._make()

    def build_memory(self) -> None:
        """Controller, and what it says to the memory."""
        self.controller = nn.LSTMCell(2 * self.width, self.width)
        remember_for(MEMORY_LENGTH, self.controller)
        self.queries_keys_values = nn.Linear(self.width, 3 * self.width, bias=False)
        self.gates = nn.Linear(self.width, 2 * self.n_heads)
        nn.init.zeros_(self.gates.weight)
        with torch.no_grad():
            self.gates.bias.view(2, -1)[0] = 0.0  # β = ½
            self.gates.bias.view(2, -1)[1] = 6.0  # α = 0.998: a memory lasts some hundred examples
        self.out = nn.Linear(self.width, self.width, bias=False)

    def start_memory(self, rows: int) -> State:
        """All zeros: h, c, the last read, M."""
        size = self.width // self.n_heads
        zeros = self.read_out.weight.new_zeros
        vector = zeros(rows, self.width)
        return vector, vector, vector, zeros(rows, self.n_heads, size, size)

    def run(self, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
        """One token after the other: each reads before the next is written."""
        h, c, read, matrix = memory
        rows = []
        for token in tokens.unbind(1):
            h, c = self.controller(torch.cat([token, read], 1), (h, c))
            q, k, v = self.queries_keys_values(h).view(len(h), 3, self.n_heads, -1).unbind(1)
            write, keep = self.gates(h).sigmoid().view(-1, 2, self.n_heads, 1, 1).unbind(1)
            matrix = keep * matrix + write * v[..., None] * normalize(k, dim=2)[..., None, :]
            read = (matrix @ normalize(q, dim=2)[..., None]).flatten(1)
            rows.append(h + self.out(read))
        return torch.stack(rows, 1), (h, c, read, matrix)

    def memory_size(self, n_examples: int) -> int:
        """H, c and the last read, and M of each head."""
        return 3 * self.width + self.width**2 // self.n_heads
