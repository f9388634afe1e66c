"""Pre-norm blocks of a mixer and an MLP, and the agent made of them; a model adds its mixer alone."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import relu

from gpicl_agents.sequence import SequenceAgent
from gpicl_envs.errors import check_integer


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
        n_views: V, projections through which `eval()` mode predicts.
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
        n_views: int,
        chunk: int,
        seed: int,
    ) -> None:
        super().__init__(
            n_features, n_classes, tokens=tokens, width=width, input_rank=input_rank, n_views=n_views, seed=seed
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
