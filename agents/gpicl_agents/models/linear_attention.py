"""Linear attention (Katharopoulos et al. 2020, arXiv:2006.16236): attention whose memory is a sum, not a cache.

For each head, with x_t the token after its norm and S the memory (d_k × d_v):

    q_t, k_t, v_t = φ(W_q x_t), φ(W_k x_t), W_v x_t
    S_t = S_{t−1} + k_t v_tᵀ

| feature map | φ(a) | out |
|---|---|---|
| `"unit"` | a/‖a‖ | W_o RMSNorm(S_tᵀ q_t): a sum of cosines, which needs no denominator once it is normalised |
| `"elu"` (the paper's) | elu(a) + 1 | W_o (S_tᵀ q_t) / (z_t·q_t), with z_t = z_{t−1} + k_t, one more column of S |

With positive features all keys resemble each other initially: with `"elu"` one layer was still on the loss plateau
after 300 steps; with `"unit"` it left the plateau within 100.

State: per layer H · d_k · d_v = width²/H, and width more for z, however many examples.
"""

import torch
from torch import nn
from torch.nn.functional import elu, normalize, pad

from gpicl_agents.models.fast_weights import write_and_read
from gpicl_agents.models.layers import Mixer, MixerAgent, init_residual, join_heads, split_heads
from gpicl_envs.errors import check_choice

FEATURE_MAPS = ("unit", "elu")


class LinearAttentionMixer(Mixer):
    """Linear attention (see the module); its memory is S, (B, H, width/H, width/H), with z as its last column."""

    def __init__(self, model: "LinearAttention") -> None:
        super().__init__()
        width, n_heads = model.width, model.n_heads
        self.width, self.n_heads, self.chunk = width, n_heads, model.chunk
        self.divides = model.feature_map == "elu"
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.norm = nn.Identity() if self.divides else nn.RMSNorm(width // n_heads, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)
        init_residual(self.out, model.n_layers)

    def start(self, batch: int) -> torch.Tensor:
        """Return S = 0 and z = 0."""
        size = self.width // self.n_heads
        return self.out.weight.new_zeros(batch, self.n_heads, size, size + self.divides)

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write and read T tokens."""
        q, k, v = (split_heads(part, self.n_heads) for part in self.queries_keys_values(tokens).chunk(3, 2))
        no_decay = torch.zeros_like(v[..., 0])
        if self.divides:
            v = pad(v, (0, 1), value=1.0)  # the last column sums the keys: z
            read, memory = write_and_read(memory, elu(q) + 1, elu(k) + 1, v, no_decay, chunk=self.chunk)
            read = read[..., :-1] / read[..., -1:].clamp_min(1e-6)
        else:
            q, k = normalize(q, dim=3), normalize(k, dim=3)
            read, memory = write_and_read(memory, q, k, v, no_decay, chunk=self.chunk)
        return self.out(join_heads(self.norm(read))), memory


class LinearAttention(MixerAgent):
    """Blocks of linear attention and an MLP.

    Args:
        feature_map: `"unit"` or `"elu"` (see the module).
    """

    name = "linear-attention"
    mixer_class = LinearAttentionMixer
    feature_map: str = "unit"

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        check_choice("feature_map", self.feature_map, FEATURE_MAPS)
