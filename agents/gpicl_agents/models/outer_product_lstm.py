"""Outer-product LSTM: an LSTM that writes to a fast-weight memory by outer products and reads it by inner products.

Fast weights after Schmidhuber (1992, doi:10.1162/neco.1992.4.1.131), whose slow network, here an LSTM, says what is
written. The paper names an "outer product LSTM" and gives no equations, so these are ours. For each head, with q and k
of unit norm and M the memory (d × R):

    u_t = x_t + LSTM(x_1, …, x_t)        q_t, k_t, v_t, β_t, α_t = projections of LayerNorm(u_t), β and α through σ
    M_t = α_t M_{t−1} + β_t v_t k_tᵀ        out = u_t + W RMSNorm(M_t q_t)

The token x_t in u_t is what makes it learn: with keys and queries from the LSTM alone, which are smeared over the
tokens before, the learner stayed at chance; from the token alone it gained as much as from both (docs/research-log.md,
2026-11-25). No read is given back to the LSTM, so that all positions are computed in chunks.

State: heads · R · d + 2 · width, with width = heads · d, however many examples. With R < d, keys and queries are the
sums of d/R components of their projections: rank and state fall, and the parameters stay.
"""

import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize

from gpicl_agents.models.layers import RecurrentAgent, join_heads, split_heads, write_and_read
from gpicl_agents.models.lstm import MEMORY_LENGTH, remember_for, run_layers
from gpicl_envs.errors import check_integer

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class OuterProductLSTM(RecurrentAgent):
    """One LSTM layer with fast weights.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token and of h.
        n_heads: memories side by side; it must divide the width.
        rank: R, components of the keys of a head, and so the rank of its memory; width / n_heads by default, which R
            must divide. The number of parameters is the same for any.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
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
        rank: int | None = None,
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
        self.n_heads = check_integer("n_heads", n_heads, 1)
        if width % n_heads:
            raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")
        size = width // n_heads
        self.rank = check_integer("rank", size if rank is None else rank, 1, size, "width // n_heads")
        if size % self.rank:
            raise ValueError(f"rank={rank} does not divide width // n_heads = {size}: give a divisor of it.")
        self._make()

    def build_memory(self) -> None:
        """Controller, and what it says to the memory."""
        self.controller = nn.LSTM(self.width, self.width, batch_first=True)
        remember_for(MEMORY_LENGTH, self.controller, "_l0")
        self.norm_features = nn.LayerNorm(self.width)
        self.queries_keys_values = nn.Linear(self.width, 3 * self.width, bias=False)
        self.write_gate, self.keep_gate = nn.Linear(self.width, self.n_heads), nn.Linear(self.width, self.n_heads)
        nn.init.zeros_(self.keep_gate.weight)
        nn.init.constant_(self.keep_gate.bias, math.log(1000))  # a memory lasts a thousand examples
        self.norm_read = nn.RMSNorm(self.width // self.n_heads, eps=1e-5)
        self.out = nn.Linear(self.width, self.width, bias=False)

    def start_memory(self, rows: int) -> State:
        """All zeros: h, c, M."""
        zeros = self.read_out.weight.new_zeros
        size = self.width // self.n_heads
        return zeros(1, rows, self.width), zeros(1, rows, self.width), zeros(rows, self.n_heads, self.rank, size)

    def run(self, tokens: torch.Tensor, memory: State) -> tuple[torch.Tensor, State]:
        """The LSTM over all tokens, then the memory: each token reads what is written up to itself."""
        h, c, matrix = memory
        outputs, (h, c) = run_layers(self.controller, tokens, (h, c))
        features = tokens + outputs
        normed = self.norm_features(features)
        q, k, v = (split_heads(part, self.n_heads) for part in self.queries_keys_values(normed).chunk(3, 2))
        read, matrix = write_and_read(
            matrix, self._key(q), self._key(k), v * self.write_gate(normed).sigmoid().mT[..., None], self._decay(normed)
        )
        return features + self.out(join_heads(self.norm_read(read))), (h, c, matrix)

    def memory_size(self, n_examples: int) -> int:
        """H and c, and M of each head."""
        return 2 * self.width + self.rank * self.width

    def _key(self, values: torch.Tensor) -> torch.Tensor:
        """(B, H, T, d) → (B, H, T, R) of unit norm."""
        return normalize(values.unflatten(3, (self.rank, -1)).sum(4), dim=3)

    def _decay(self, normed: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → (B, H, T) log α."""
        return logsigmoid(self.keep_gate(normed)).mT
