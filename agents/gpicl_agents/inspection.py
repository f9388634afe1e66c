"""Looking inside a Transformer: what its heads read (`Transformer.attention`), and how much it needs each of them.

Induction (Olsson et al. 2022, arXiv:2209.11895; Reddy 2024, arXiv:2312.03002) takes two heads: one reads the previous
token, where x_{n−1} is if `tokens="paper"`, and so joins it to its label y_{n−1}; one in a later layer reads the labels
of the examples that are like x_n. The two masses tell them apart.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.nn.functional import pad

from gpicl_agents.models.base import SequenceAgent
from gpicl_agents.models.transformer import AttentionBlock, Transformer
from gpicl_envs.errors import check_integer


def same_class_mass(weights: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return how much of its attention each prediction gives to the labels of earlier examples of its own class.

    In every form of tokens, token i holds the label y_{i−1}.

    Args:
        weights: (B, layers, H, T, T) of `Transformer.attention`.
        y: (B, N) labels.

    Returns:
        (B, layers, H, N) from 0 to 1; 0 where no earlier example is of the class.
    """
    n = _count(weights, y)
    return (weights[..., -n:, :n] * _same_class(y)[:, None, None]).sum(-1)


def uniform_same_class_mass(y: torch.Tensor) -> torch.Tensor:
    """Return (B, N) what `same_class_mass` is with equal attention to the tokens up to the prediction's own."""
    same = _same_class(y)
    return same.sum(2) / torch.arange(1, same.shape[1] + 1, device=y.device)


def previous_mass(weights: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return how much of its attention each prediction gives to the previous example.

    It is that one token back, which holds x_{n−1}; with `tokens="query"`, that token which holds example n − 1 whole.

    Args:
        weights: (B, layers, H, T, T) of `Transformer.attention`.
        y: (B, N) labels.

    Returns:
        (B, layers, H, N) from 0 to 1; 0 at the first position.
    """
    n = _count(weights, y)
    rows = weights[..., -n:, :n]
    if weights.shape[-1] == n:
        return pad(rows.diagonal(-1, -2, -1), (1, 0))
    return pad(rows.diagonal(0, -2, -1)[..., 1:], (1, 0))


@contextmanager
def ablated(learner: SequenceAgent, heads: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Silence heads: what they read counts as zeros while this context lasts; no weight changes.

    Args:
        learner: a Transformer.
        heads: (layer, head), both counted from 0.

    Raises:
        ValueError: the learner has no such heads.
    """
    if not isinstance(learner, Transformer):
        raise ValueError(f"{learner.name} has no attention heads to ablate: give a Transformer.")
    for layer, head in heads:
        check_integer("layer", layer, 0, learner.n_layers - 1)
        check_integer("head", head, 0, learner.n_heads - 1)
    blocks = [block for block in learner.blocks if isinstance(block, AttentionBlock)]
    size = learner.width // learner.n_heads
    handles = [blocks[layer].attention_out.register_forward_pre_hook(_silencer(head, size)) for layer, head in heads]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _silencer(head: int, size: int) -> Callable[..., torch.Tensor]:
    """A hook that sets what one head read to 0 in (B, T, H · size)."""

    def silence(module: torch.nn.Module, args: tuple[torch.Tensor]) -> torch.Tensor:
        place = torch.arange(args[0].shape[-1], device=args[0].device)
        return args[0].masked_fill(place // size == head, 0.0)

    return silence


def _same_class(y: torch.Tensor) -> torch.Tensor:
    """(B, N) → (B, N, N) whether token i holds the label of an example before n that is the same as that of n."""
    same = (y[:, :, None] == y[:, None, :]).tril(-1)
    return pad(same[..., :-1], (1, 0))


def _count(weights: torch.Tensor, y: torch.Tensor) -> int:
    """Return N, if the weights are of N or 2N tokens of these episodes."""
    n = y.shape[1]
    if weights.ndim != 5 or len(weights) != len(y) or weights.shape[-1] not in (n, 2 * n):
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} are not of labels of shape {tuple(y.shape)}: give those of "
            "learner.attention(x, y)."
        )
    return n
