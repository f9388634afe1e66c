"""Fast-weight memories: one recurrence behind linear attention, state-space duality and the gated delta rule.

A memory is a matrix S (d_k × d_v) that every token writes to and reads from:

| rule | S_t | read |
|---|---|---|
| sum | α_t S_{t−1} + k_t v_tᵀ | o_t = S_tᵀ q_t |
| delta | α_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ | o_t = S_tᵀ q_t |

The delta rule (Widrow & Hoff 1960; as fast weights Schlag et al. 2021, arXiv:2102.11174) is a step of online least
squares: it writes u_t = β_t (v_t − α_t S_{t−1}ᵀ k_t), what the memory does not hold under k_t yet. So the u_t of a
chunk of C tokens, entered with the memory S_0, solve a triangular system (Yang et al. 2024, arXiv:2406.06484), and
with γ_t = α_1 ⋯ α_t all else is products of matrices:

    u_t + β_t Σ_{i<t} (γ_t/γ_i) (k_t·k_i) u_i = β_t (v_t − γ_t S_0ᵀ k_t)
    o_t = γ_t S_0ᵀ q_t + Σ_{i≤t} (γ_t/γ_i) (q_t·k_i) u_i
    S_C = γ_C S_0 + Σ_i (γ_C/γ_i) k_i u_iᵀ

The sum rule is the same with u_t = v_t. Ratios γ_t/γ_i ≤ 1 are exponentials of differences of logarithms, so that no
decay, however strong, divides by a number that has vanished.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import relu

from gpicl_agents.models.base import SequenceAgent
from gpicl_envs.errors import check_integer


def write_and_read(
    memory: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    log_decay: torch.Tensor,
    *,
    rates: torch.Tensor | None = None,
    chunk: int = 128,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Write T tokens to the memory, each reading what is written up to itself.

    Args:
        memory: (B, H, d_k, d_v) S_0.
        queries: (B, H, T, d_k) q.
        keys: (B, H, T, d_k) k; for the delta rule of norm ≤ 1, else the memory may grow without bound.
        values: (B, H, T, d_v) v.
        log_decay: (B, H, T) log α ≤ 0.
        rates: (B, H, T) β, which makes it the delta rule; without them it is the sum rule.
        chunk: C, tokens computed at once. The result is the same for any: T/C is the number of sequential steps, and
            T·C·(d_k + d_v) + T·d_k·d_v the cost.

    Returns:
        (B, H, T, d_v) reads o, and the memory after the last token.
    """
    reads, kind = [], memory.dtype
    with torch.autocast(queries.device.type, enabled=False):  # sums and solutions keep the memory's precision
        for start in range(0, queries.shape[2], chunk):
            part = slice(start, start + chunk)
            read, memory = _chunk(
                memory,
                queries[:, :, part].to(kind),
                keys[:, :, part].to(kind),
                values[:, :, part].to(kind),
                log_decay[:, :, part].to(kind),
                None if rates is None else rates[:, :, part, None].to(kind),
            )
            reads.append(read)
    return torch.cat(reads, 2), memory


def _chunk(
    memory: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    log_decay: torch.Tensor,
    rates: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The equations of the module, for one chunk; rates are (B, H, C, 1)."""
    total = log_decay.cumsum(2)  # log γ
    kept = total.exp()[..., None]
    future = torch.ones(total.shape[2], total.shape[2], dtype=torch.bool, device=total.device).triu(1)
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(future, -torch.inf).exp()  # γ_t/γ_i
    if rates is not None:
        system = rates * decay * (keys @ keys.mT)  # its diagonal is taken as 1
        unknown_yet = rates * (values - kept * (keys @ memory))
        values = torch.linalg.solve_triangular(system, unknown_yet, upper=False, unitriangular=True)
    read = kept * (queries @ memory) + (decay * (queries @ keys.mT)) @ values
    return read, kept[:, :, -1:] * memory + (decay[:, :, -1, :, None] * keys).mT @ values


class Mixer(nn.Module):
    """What carries information from token to token, with a memory that does not grow.

    Each layer has one, and calls it with all tokens of an episode or with the next one: the same code serves both.
    """

    def start(self, rows: int) -> Any:
        """Return the memory of `rows` sequences that have seen nothing."""
        raise NotImplementedError

    def forward(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """The next T tokens (B, T, width) and the memory of those before → (B, T, width), and the next memory."""
        raise NotImplementedError

    def memory_size(self) -> int:
        """Return the numbers in the memory of one sequence."""
        raise NotImplementedError


class Mlp(nn.Module):
    """Pre-norm MLP with its residual connection.

    Args:
        width: size of a token.
        mlp_width: hidden size.
        n_layers: number of blocks, which scales the initial residual branch.
    """

    def __init__(self, width: int, mlp_width: int, n_layers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp_in, self.mlp_out = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
        start_small(self.mlp_out, n_layers)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → the same."""
        return tokens + self.mlp_out(relu(self.mlp_in(self.norm(tokens))))


class Block(nn.Module):
    """Pre-norm mixer and MLP.

    Args:
        mixer: between tokens.
        width: size of a token.
        mlp_width: hidden size of the MLP.
        n_layers: number of blocks.
    """

    def __init__(self, mixer: Mixer, width: int, mlp_width: int, n_layers: int) -> None:
        super().__init__()
        self.norm, self.mixer = nn.LayerNorm(width), mixer
        self.mlp = Mlp(width, mlp_width, n_layers)

    def forward(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """The next T tokens (B, T, width) → the same, and the next memory of the mixer."""
        mixed, memory = self.mixer(self.norm(tokens), memory)
        return self.mlp(tokens + mixed), memory


class BlockAgent(SequenceAgent):
    """A stack of blocks; a subclass gives `build_mixer`, and ends its constructor with `self._make()`.

    Args:
        n_features: D.
        n_classes: K.
        tokens: `"paired"` or `"paper"` (see `sequence.py`).
        width: size of a token.
        n_layers: number of blocks.
        n_heads: H, memories side by side in a block.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
        input_rank: p, features after the shared projection, min(64, D) by default; 0 leaves it out.
        n_projections: V, projections through which `eval()` mode predicts.
        chunk: positions that `predict` computes at once; changes its cost, not its result.
        seed: seed of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        *,
        tokens: str,
        width: int,
        n_layers: int,
        n_heads: int,
        mlp_width: int | None,
        input_rank: int | None,
        n_projections: int,
        chunk: int,
        seed: int,
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
        self.n_heads = check_integer("n_heads", n_heads, 1)
        self.mlp_width = check_integer("mlp_width", 4 * width if mlp_width is None else mlp_width, 1)
        self.chunk = check_integer("chunk", chunk, 1)
        if width % n_heads:
            raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")

    def build_mixer(self) -> Mixer:
        """Make the mixer of one block; random numbers come from the seed."""
        raise NotImplementedError

    def build_memory(self) -> None:
        """Blocks of mixer and MLP."""
        self.blocks = nn.ModuleList(
            Block(self.build_mixer(), self.width, self.mlp_width, self.n_layers) for _ in range(self.n_layers)
        )

    def remember(self, tokens: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """All positions, from an empty memory."""
        return self.remember_step(self.start_memory(len(tokens)), tokens, units)[0]

    def start_memory(self, rows: int) -> list[Any]:
        """The memory of each layer."""
        return [block.mixer.start(rows) for block in self._mixing()]

    def remember_step(
        self, memory: list[Any], token: torch.Tensor, unit: torch.Tensor
    ) -> tuple[torch.Tensor, list[Any]]:
        """The next token, or several."""
        after = []
        for block, before in zip(self._mixing(), memory, strict=True):
            token, mixed = block(token, before)
            after.append(mixed)
        return token, after

    def memory_size(self, n_examples: int) -> int:
        """That of all layers, however many examples."""
        return sum(block.mixer.memory_size() for block in self._mixing())

    def _mixing(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


def start_small(out: nn.Linear, n_layers: int) -> None:
    """Weights of the end of a residual branch, half as large as usual and smaller with more layers."""
    nn.init.normal_(out.weight, std=0.5 / math.sqrt(out.in_features * n_layers))


def split_heads(values: torch.Tensor, n_heads: int) -> torch.Tensor:
    """(B, T, H·d) → (B, H, T, d)."""
    return values.unflatten(2, (n_heads, -1)).transpose(1, 2)


def join_heads(values: torch.Tensor) -> torch.Tensor:
    """(B, H, T, d) → (B, T, H·d)."""
    return values.transpose(1, 2).flatten(2)


class RecurrentAgent(SequenceAgent):
    """A sequence model whose memory has one size, however many examples.

    A subclass gives `build_memory`, `start_memory`, `run` and `memory_size`.
    """

    def run(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """(B·V, T, width) tokens after those that the memory holds → the same shape, and the memory after them."""
        raise NotImplementedError

    def remember(self, tokens: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """All tokens, from an empty memory."""
        return self.run(tokens, self.start_memory(len(tokens)))[0]

    def remember_step(self, memory: Any, token: torch.Tensor, unit: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """One more token."""
        return self.run(token, memory)
