"""A selective state-space model in the form of Mamba-2 (Dao & Gu 2024, arXiv:2405.21060; Mamba: arXiv:2312.00752).

For each head, with x_t the token after its norm, S the state (n × d), and b, c shared by the heads:

    (v_t, b_t, c_t) = conv(W_in x_t), a causal convolution of 4 tokens; then SiLU for v, unit norm for b and c
    Δ_t = softplus(W_Δ x_t + bias)        α_t = exp(−e^a Δ_t)
    S_t = α_t S_{t−1} + Δ_t b_t v_tᵀ      y_t = S_tᵀ c_t + D v_t
    out = W_o RMSNorm(y_t ⊙ SiLU(W_z x_t + bias))

It is linear attention with queries c, keys b and a decay (state-space duality), computed in chunks as matrix products
(see `fast_weights.py`).

Two departures from Mamba-2, which unchanged was still on the loss plateau after 300 steps: b and c have unit norm, and
it is initialised as linear attention that hardly forgets. The convolution starts as the identity, the gate as a
constant, D at 0, Δ at 1, and decays such that the heads remember for 100 to 1,000 examples, evenly on a log scale.

State: per layer inner · n with inner = expand · width, and 3 (inner + 2 n) for the convolution, however many examples.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize, silu, softplus

from gpicl_agents.models.fast_weights import write_and_read
from gpicl_agents.models.layers import Mixer, MixerAgent, init_residual, join_heads, split_heads
from gpicl_envs.errors import check_integer

TAPS = 4


class StateSpaceMemory(NamedTuple):
    """The memory of a state-space mixer.

    Args:
        state: (B, H, n, inner/H) S.
        recent: (B, 3, inner + 2 n) the last inputs of the convolution.
    """

    state: torch.Tensor
    recent: torch.Tensor


class StateSpaceMixer(Mixer):
    """The selective state-space model (see the module)."""

    def __init__(self, model: "SelectiveStateSpace") -> None:
        super().__init__()
        width, n_heads, inner = model.width, model.n_heads, model.expand * model.width
        self.inner, self.state_width, self.n_heads, self.chunk = inner, model.state_width, n_heads, model.chunk
        self.mixed = inner + 2 * model.state_width
        self.project = nn.Linear(width, self.mixed + n_heads, bias=False)
        self.gate = nn.Linear(width, inner)
        nn.init.zeros_(self.gate.weight)  # with random gates it leaves the plateau 100 steps later
        nn.init.ones_(self.gate.bias)
        self.taps = nn.Parameter(torch.zeros(TAPS, self.mixed))
        nn.init.ones_(self.taps[-1])  # the token's own
        self.log_rate = nn.Parameter(torch.logspace(-3, -2, n_heads).log())  # a
        self.time_bias = nn.Parameter(torch.full((n_heads,), math.log(math.e - 1)))  # softplus gives 1
        self.skip = nn.Parameter(torch.zeros(n_heads))  # D
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, width, bias=False)
        init_residual(self.out, model.n_layers)

    def start(self, batch: int) -> StateSpaceMemory:
        """Return zeros."""
        zeros = self.out.weight.new_zeros
        return StateSpaceMemory(
            state=zeros(batch, self.n_heads, self.state_width, self.inner // self.n_heads),
            recent=zeros(batch, TAPS - 1, self.mixed),
        )

    def forward(self, tokens: torch.Tensor, memory: StateSpaceMemory) -> tuple[torch.Tensor, StateSpaceMemory]:
        """Write and read T tokens."""
        mixed, time = self.project(tokens).split([self.mixed, self.n_heads], 2)
        mixed = torch.cat([memory.recent, mixed], 1)
        values, b, c = convolve(mixed, self.taps).split([self.inner, self.state_width, self.state_width], 2)
        b, c = normalize(b, dim=2), normalize(c, dim=2)
        values = split_heads(silu(values), self.n_heads)
        time = softplus(time + self.time_bias).mT  # Δ, (B, H, T)
        shape = (-1, self.n_heads, -1, -1)
        read, state = write_and_read(
            memory.state,
            c[:, None].expand(shape),
            b[:, None].expand(shape),
            time[..., None] * values,
            -self.log_rate.exp()[:, None] * time,
            chunk=self.chunk,
        )
        read = join_heads(read + self.skip[:, None, None] * values)
        return self.out(self.norm(read * silu(self.gate(tokens)))), StateSpaceMemory(state, mixed[:, 1 - TAPS :])


class SelectiveStateSpace(MixerAgent):
    """Blocks of a selective state-space model and an MLP.

    Args:
        n_heads: H, states side by side in a block, each with its own decay; it must divide the width.
        expand: the inner width is expand · width.
        state_width: n, size of b and c.
    """

    name = "selective-ssm"
    mixer_class = StateSpaceMixer
    n_heads: int = 4
    expand: int = 2
    state_width: int = 64

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.expand = check_integer("expand", self.expand, 1)
        self.state_width = check_integer("state_width", self.state_width, 1)


def convolve(values: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Convolve each feature causally: (B, 3 + T, F) and (4, F) → (B, T, F).

    On a CPU the sum of shifted values takes half the time of a grouped `conv1d`.
    """
    length = values.shape[1] - TAPS + 1
    total = taps[0] * values[:, :length]
    for i in range(1, TAPS):
        total = total + taps[i] * values[:, i : i + length]
    return total
