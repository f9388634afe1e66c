"""Linear attention (Katharopoulos et al. 2020, arXiv:2006.16236): attention whose memory is a sum, not a cache.

For each head, with x_t the token after its norm and S the memory (d_k × d_v):

    q_t, k_t, v_t = φ(W_q x_t), φ(W_k x_t), W_v x_t
    S_t = S_{t−1} + k_t v_tᵀ

| feature map | φ(a) | out |
|---|---|---|
| `"unit"` | a/‖a‖ | W_o RMSNorm(S_tᵀ q_t): cosines, whose sum needs no denominator once it is normalised |
| `"elu"` (the paper's) | elu(a) + 1 | W_o (S_tᵀ q_t) / (z_t·q_t), with z_t = z_{t−1} + k_t, one more column of S |

With positive features every key resembles every other at first: with `"elu"` one layer was still on the loss plateau
after 300 steps, which `"unit"` leaves within 100.

State: per layer H · d_k · d_v = width²/H, and width more for z, however many examples.
"""

import torch
from torch import nn
from torch.nn.functional import elu, normalize, pad

from gpicl_agents.models.layers import BlockAgent, Mixer, join_heads, split_heads, start_small, write_and_read
from gpicl_envs.errors import check_choice

FEATURE_MAPS = ("unit", "elu")


class LinearAttention(BlockAgent):
    """Blocks of linear attention and an MLP.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token.
        n_layers: number of blocks.
        n_heads: H, memories side by side in a block; it must divide the width.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        feature_map: `"unit"` or `"elu"` (see the module).
        chunk: positions that `predict` computes at once; changes its cost, not its result.
        seed: seed of the initial weights.
    """

    def __init__(
        self,
        n_features: int = 784,
        n_classes: int = 10,
        *,
        tokens: str = "paired",
        width: int = 128,
        n_layers: int = 1,
        n_heads: int = 2,
        mlp_width: int | None = None,
        input_rank: int | None = None,
        n_projections: int = 1,
        feature_map: str = "unit",
        chunk: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_features,
            n_classes,
            tokens=tokens,
            width=width,
            n_layers=n_layers,
            n_heads=n_heads,
            mlp_width=mlp_width,
            input_rank=input_rank,
            n_projections=n_projections,
            chunk=chunk,
            seed=seed,
        )
        self.feature_map = check_choice("feature_map", feature_map, FEATURE_MAPS)
        self._make()

    @property
    def name(self) -> str:
        """`linear-attention`."""
        return "linear-attention"

    def build_mixer(self) -> Mixer:
        """Linear attention."""
        return LinearAttentionMixer(self.width, self.n_heads, self.n_layers, self.feature_map, self.chunk)


class LinearAttentionMixer(Mixer):
    """Linear attention (see the module); its memory is S, (B, H, width/H, width/H), with z as its last column.

    Args:
        width: size of a token.
        n_heads: H.
        n_layers: number of blocks.
        feature_map: φ.
        chunk: positions computed at once.
    """

    def __init__(self, width: int, n_heads: int, n_layers: int, feature_map: str, chunk: int) -> None:
        super().__init__()
        self.width, self.n_heads, self.chunk = width, n_heads, chunk
        self.divides = feature_map == "elu"
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.norm = nn.Identity() if self.divides else nn.RMSNorm(width // n_heads, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)
        start_small(self.out, n_layers)

    def start(self, rows: int) -> torch.Tensor:
        """S = 0, and z = 0."""
        size = self.width // self.n_heads
        return self.out.weight.new_zeros(rows, self.n_heads, size, size + self.divides)

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write and read T tokens."""
        q, k, v = (split_heads(part, self.n_heads) for part in self.queries_keys_values(tokens).chunk(3, 2))
        never = torch.zeros_like(v[..., 0])
        if not self.divides:
            read, memory = write_and_read(memory, normalize(q, dim=3), normalize(k, dim=3), v, never, chunk=self.chunk)
        else:
            v = pad(v, (0, 1), value=1.0)
            read, memory = write_and_read(memory, elu(q) + 1, elu(k) + 1, v, never, chunk=self.chunk)
            read = read[..., :-1] / read[..., -1:].clamp_min(1e-6)
        return self.out(join_heads(self.norm(read))), memory

    def memory_size(self) -> int:
        """width²/H, and the width of z."""
        return self.width**2 // self.n_heads + self.divides * self.width
