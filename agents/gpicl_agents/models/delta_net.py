"""Gated DeltaNet (Yang et al. 2024, arXiv:2412.06464): a memory that learns by online least squares, and decays.

For each head, with x_t the token after its norm, q and k of unit norm, and S the memory (d_k × d_v):

    q_t, k_t, v_t = W_q x_t, W_k x_t, W_v x_t        α_t = σ(w_α x_t + b_α)        β_t = σ(w_β x_t + b_β)
    S_t = α_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ
    out = W_o RMSNorm(S_tᵀ q_t)

Without decay it is DeltaNet (Schlag et al. 2021, arXiv:2102.11174), computed in chunks as in Yang et al. 2024,
arXiv:2406.06484 (see `fast_weights.py`). The paper's short convolutions and output gate are left out: paired tokens
already hold the previous example. Initially, α makes memories last a thousand examples.

State: per layer H · d_k · d_v = width²/H, however many examples.
"""

import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid, normalize

from gpicl_agents.models.fast_weights import write_and_read
from gpicl_agents.models.layers import Mixer, MixerAgent, init_residual, join_heads, split_heads


class DeltaMixer(Mixer):
    """The gated delta rule (see the module); its memory is S, (B, H, width/H, width/H)."""

    def __init__(self, model: "GatedDeltaNet") -> None:
        super().__init__()
        width, n_heads = model.width, model.n_heads
        self.width, self.n_heads, self.chunk = width, n_heads, model.chunk
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.rate = nn.Linear(width, n_heads)
        self.keep = nn.Linear(width, n_heads) if model.gated else None
        self.norm = nn.RMSNorm(width // n_heads, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)
        init_residual(self.out, model.n_layers)
        nn.init.zeros_(self.rate.bias)
        if self.keep is not None:
            nn.init.zeros_(self.keep.weight)
            nn.init.constant_(self.keep.bias, math.log(1000))

    def start(self, batch: int) -> torch.Tensor:
        """Return S = 0."""
        size = self.width // self.n_heads
        return self.out.weight.new_zeros(batch, self.n_heads, size, size)

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write and read T tokens."""
        q, k, v = (split_heads(part, self.n_heads) for part in self.queries_keys_values(tokens).chunk(3, 2))
        rates = self.rate(tokens).sigmoid().mT
        log_decay = torch.zeros_like(rates) if self.keep is None else logsigmoid(self.keep(tokens)).mT
        read, memory = write_and_read(
            memory, normalize(q, dim=3), normalize(k, dim=3), v, log_decay, rates=rates, chunk=self.chunk
        )
        return self.out(join_heads(self.norm(read))), memory


class GatedDeltaNet(MixerAgent):
    """Blocks of the gated delta rule and an MLP.

    Args:
        gated: whether the memory decays; without, α = 1 (DeltaNet).
    """

    mixer_class = DeltaMixer
    gated: bool = True
    chunk: int = 64

    @property
    def name(self) -> str:
        """`gated-deltanet`, or `deltanet` without the gate."""
        return "gated-deltanet" if self.gated else "deltanet"
