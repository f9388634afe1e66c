"""Residual blocks: the arguments of all models that stack them, and those whose tokens meet in a `Mixer`."""

import math
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import relu

from gpicl_agents.models.base import SequenceAgent
from gpicl_envs.errors import check_integer


class Mixer(nn.Module):
    """A layer that carries information from token to token, with a memory that does not grow.

    It is called with all tokens of an episode or with the next one: the same code serves both.
    """

    def start(self, batch: int) -> Any:
        """Return the memory of `batch` sequences before their first token."""
        raise NotImplementedError

    def forward(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """The next T tokens (B, T, width) and the memory of those before → (B, T, width), and the next memory."""
        raise NotImplementedError


class Mlp(nn.Module):
    """Pre-norm MLP of a model's block, with its residual connection."""

    def __init__(self, model: "BlockAgent") -> None:
        super().__init__()
        self.norm = nn.LayerNorm(model.width)
        self.mlp_in = nn.Linear(model.width, model.mlp_width)
        self.mlp_out = nn.Linear(model.mlp_width, model.width)
        init_residual(self.mlp_out, model.n_layers)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, width) → the same."""
        return tokens + self.mlp_out(relu(self.mlp_in(self.norm(tokens))))


class MixerBlock(nn.Module):
    """Pre-norm mixer and MLP of a model."""

    def __init__(self, model: "MixerAgent") -> None:
        super().__init__()
        self.norm, self.mixer = nn.LayerNorm(model.width), model.mixer_class(model)
        self.mlp = Mlp(model)

    def forward(self, tokens: torch.Tensor, memory: Any) -> tuple[torch.Tensor, Any]:
        """The next T tokens (B, T, width) → the same, and the next memory of the mixer."""
        mixed, memory = self.mixer(self.norm(tokens), memory)
        return self.mlp(tokens + mixed), memory


class BlockAgent(SequenceAgent):
    """A sequence model made of residual blocks.

    Args:
        n_layers: number of blocks.
        n_heads: H, heads side by side in a block; it must divide the width.
        mlp_width: hidden size of the MLP of a block; 4 · width by default.
    """

    n_layers: int = 1
    n_heads: int = 2
    mlp_width: int = None  # type: ignore[assignment]  # set by check_arguments

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.n_layers = check_integer("n_layers", self.n_layers, 1)
        self.n_heads = check_heads(self.n_heads, self.width)
        self.mlp_width = check_integer("mlp_width", 4 * self.width if self.mlp_width is None else self.mlp_width, 1)


class MixerAgent(BlockAgent):
    """A stack of blocks, each a `MixerBlock`; a subclass sets `mixer_class`.

    Args:
        chunk: positions that `predict` computes at once; it changes the cost, not the result.
    """

    mixer_class: ClassVar[Any]

    chunk: int = 128

    def check_arguments(self) -> None:
        """Check its own arguments too."""
        super().check_arguments()
        self.chunk = check_integer("chunk", self.chunk, 1)

    def build_layers(self) -> None:
        """Make the blocks."""
        self.blocks = nn.ModuleList(MixerBlock(self) for _ in range(self.n_layers))

    def start_memory(self, batch: int) -> list[Any]:
        """Return the memory of each mixer."""
        return [block.mixer.start(batch) for block in self.blocks if isinstance(block, MixerBlock)]

    def run(self, tokens: torch.Tensor, memory: list[Any], directions: torch.Tensor) -> tuple[torch.Tensor, list[Any]]:
        """Run all blocks on the next tokens."""
        after = []
        for block, before in zip(self.blocks, memory, strict=True):
            tokens, mixed = block(tokens, before)
            after.append(mixed)
        return tokens, after


def check_heads(n_heads: int, width: int) -> int:
    """Return the number of heads if the width can be split over them."""
    n_heads = check_integer("n_heads", n_heads, 1)
    if width % n_heads:
        raise ValueError(f"width={width} cannot be split over n_heads={n_heads}: give a multiple of it.")
    return n_heads


def init_residual(out: nn.Linear, n_layers: int) -> None:
    """Initialise the end of a residual branch, half as large as usual and smaller with more layers."""
    nn.init.normal_(out.weight, std=0.5 / math.sqrt(out.in_features * n_layers))


def split_heads(values: torch.Tensor, n_heads: int) -> torch.Tensor:
    """(B, T, H·d) → (B, H, T, d)."""
    return values.unflatten(2, (n_heads, -1)).transpose(1, 2)


def join_heads(values: torch.Tensor) -> torch.Tensor:
    """(B, H, T, d) → (B, T, H·d)."""
    return values.transpose(1, 2).contiguous().flatten(2)  # what flatten would do; the ONNX exporter needs it said
