"""The state of a sequence model between two examples."""

from dataclasses import dataclass
from typing import Any

import torch

Count = int | torch.Tensor


@dataclass
class SequenceState:
    """The state of a sequence model after n examples of B episodes.

    Args:
        total: (B, D) sum of the inputs; (B, 0) for values, which need none.
        previous: (B·P, 1, rank) the last input, through each of P projections.
        memory: of the layers, for B·P sequences: a recurrent state, a matrix, or keys and values.
        n: examples seen; a tensor in an exported graph, which is the same at all examples.
    """

    total: torch.Tensor
    previous: torch.Tensor
    memory: Any
    n: Count = 0


def count_numbers(memory: Any) -> int:
    """Return how many numbers the tensors in nested tuples and lists hold."""
    return memory.numel() if isinstance(memory, torch.Tensor) else sum(map(count_numbers, memory))
