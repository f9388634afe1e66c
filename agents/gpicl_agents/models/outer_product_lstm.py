"""Outer-product LSTM: an LSTM that writes to a fast-weight memory by outer products and reads it by inner products.

Fast weights after Schmidhuber (1992, doi:10.1162/neco.1992.4.1.131), whose slow network, here an LSTM, decides what is
written. The paper names an "outer product LSTM" and gives no equations, so these are ours. For each head, with q and k
of unit norm and M the memory (d × R):

    u_t = x_t + LSTM(x_1, …, x_t)        q_t, k_t, v_t, β_t, α_t = projections of LayerNorm(u_t), β and α through σ
    M_t = α_t M_{t−1} + β_t v_t k_tᵀ        out = u_t + W RMSNorm(M_t q_t)

The token x_t in u_t is what makes it learn: with keys and queries from the LSTM alone, which smears them over previous
tokens, the learner stayed at chance; from the token alone it gained as much as from both (docs/research-log.md,
2026-11-25). Reads are not fed back into the LSTM, so that all positions are computed in chunks.

State: heads · R · d + 2 · width, with width = heads · d, however many examples. With R < d, keys and queries are the
sums of d/R components of their projections: rank and state shrink while the number of parameters stays the same.
"""

import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.fast_weights import write_and_read
from gpicl_agents.models.layers import check_heads, join_heads, split_heads
from gpicl_agents.models.lstm import MEMORY_LENGTH, init_memory_length, run_lstm
from gpicl_envs.errors import check_integer

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class OuterProductLSTM(SequenceAgent):
    """One LSTM layer with fast weights.

    Args:
        n_heads: memories side by side; it must divide the width.
        rank: R, components of the keys of a head, and so the rank of its memory; width / n_heads by default, which R
            must divide. The number of parameters does not depend on it.
    """

    name = "outer-product-lstm"
    n_heads: int = 1
    rank: int = None  # type: ignore[assignment]  # set by check_arguments

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.n_heads = check_heads(self.n_heads, self.width)
        size = self.width // self.n_heads
        self.rank = check_integer("rank", size if self.rank is None else self.rank, 1, size, "width // n_heads")
        if size % self.rank:
            raise ValueError(f"rank={self.rank} does not divide width // n_heads = {size}: give a divisor of it.")

    def build_layers(self) -> None:
        """Make the LSTM, and its projections for the memory."""
        self.controller = nn.LSTM(self.width, self.width, batch_first=True)
        init_memory_length(MEMORY_LENGTH, self.controller, "_l0")
        self.norm_features = nn.LayerNorm(self.width)
        self.queries_keys_values = nn.Linear(self.width, 3 * self.width, bias=False)
        self.write_gate, self.keep_gate = nn.Linear(self.width, self.n_heads), nn.Linear(self.width, self.n_heads)
        nn.init.zeros_(self.keep_gate.weight)
        nn.init.constant_(self.keep_gate.bias, math.log(1000))  # a memory lasts a thousand examples
        self.norm_read = nn.RMSNorm(self.width // self.n_heads, eps=1e-5)
        self.out = nn.Linear(self.width, self.width, bias=False)

    def start_memory(self, batch: int) -> State:
        """Return zeros for h, c and M."""
        zeros = self.read_out.weight.new_zeros
        size = self.width // self.n_heads
        return zeros(1, batch, self.width), zeros(1, batch, self.width), zeros(batch, self.n_heads, self.rank, size)

    def run(self, tokens: torch.Tensor, memory: State, directions: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Run the LSTM, then the memory, where each token reads what has been written up to and including itself."""
        h, c, matrix = memory
        outputs, (h, c) = run_lstm(self.controller, tokens, (h, c))
        features = tokens + outputs
        normed = self.norm_features(features)
        q, k, v = (split_heads(part, self.n_heads) for part in self.queries_keys_values(normed).chunk(3, 2))
        values, log_decay = v * self.write_gate(normed).sigmoid().mT[..., None], logsigmoid(self.keep_gate(normed)).mT
        read, matrix = write_and_read(matrix, self._key(q), self._key(k), values, log_decay)
        return features + self.out(join_heads(self.norm_read(read))), (h, c, matrix)

    def _key(self, values: torch.Tensor) -> torch.Tensor:
        """(B, H, T, d) → (B, H, T, R) of unit norm."""
        return normalize(values.unflatten(3, (self.rank, -1)).sum(4), dim=3)
