"""A Transformer whose weights are set by hand so that two heads do induction, and episodes that it solves.

A token is (position | x_n | x_{n−1} | y_{n−1} | answer), each value beside its negative, so that LayerNorm only scales.
"""

import math

import torch

from gpicl_agents.models.transformer import AttentionBlock, Transformer

LENGTH, FEATURES, CLASSES = 24, 8, 4
SIZES = {"position": LENGTH, "x": FEATURES, "previous": FEATURES, "label": CLASSES, "answer": CLASSES}
HALF = sum(SIZES.values())  # the width of a head too
LAYER_OF_PREVIOUS, LAYER_OF_INDUCTION = (0, 0), (1, 1)  # (layer, head)
SHARPNESS = 30.0


def place(name: str) -> slice:
    """Where a token holds it."""
    names = list(SIZES)
    start = sum(SIZES[other] for other in names[: names.index(name)])
    return slice(start, start + SIZES[name])


def induction_transformer() -> Transformer:
    """Layer 0, head 0 copies x_{n−1} from one token back; layer 1, head 1 the label beside an x_{i−1} like x_n."""
    shape = {"width": 2 * HALF, "n_layers": 2, "n_heads": 2, "mlp_width": 4, "input_rank": 0, "max_length": LENGTH}
    learner = Transformer(FEATURES, CLASSES, tokens="paper", **shape)
    with torch.no_grad():
        for parameter in (learner.embed_input.weight, learner.embed_label.weight, learner.positions):
            parameter.zero_()
        _write(learner.embed_input.weight, place("x"), torch.eye(FEATURES))
        _write(learner.embed_label.weight, place("label"), torch.eye(CLASSES))
        _write(learner.positions.T, place("position"), 2 * torch.eye(LENGTH))
        previous, induction = (block for block in learner.blocks if isinstance(block, AttentionBlock))
        _clear(previous)
        _clear(induction)
        back = torch.eye(LENGTH).roll(1, 0)  # the key of token i is the query of token i + 1
        back[0] = 0
        _set(previous, 0, (torch.eye(LENGTH), "position"), (back, "position"), ("x", "previous"), 1.0)
        x = torch.eye(FEATURES)
        _set(induction, 1, (x, "x"), (x, "previous"), ("label", "answer"), 5.0)
        learner.read_out.weight[:, place("answer")] = 10 * torch.eye(CLASSES)
    return learner.eval()


def _write(weight: torch.Tensor, rows: slice, values: torch.Tensor) -> None:
    """Set rows of a map into tokens, and their negatives."""
    weight[rows] = values
    weight[rows.start + HALF : rows.stop + HALF] = -values


def _clear(block: AttentionBlock) -> None:
    """A block that changes nothing."""
    for layer in (block.queries_keys_values, block.attention_out, block.mlp_out):
        layer.weight.zero_()
    block.mlp_out.bias.zero_()
    block.log_scale.fill_(math.log(SHARPNESS))


def _set(
    block: AttentionBlock,
    head: int,
    query: tuple[torch.Tensor, str],
    key: tuple[torch.Tensor, str],
    copied: tuple[str, str],
    gain: float,
) -> None:
    """Let a head compare a map of one part with a map of another, and copy one part to another."""
    queries, keys, values = block.queries_keys_values.weight.view(3, 2, HALF, 2 * HALF)[:, head]
    for weight, (values_of, name) in ((queries, query), (keys, key)):
        weight[: len(values_of), place(name)] = values_of
    source, target = place(copied[0]), place(copied[1])
    count = SIZES[copied[0]]
    values[:count, source] = torch.eye(count)
    out = torch.zeros(count, HALF)
    out[:, :count] = gain * torch.eye(count)
    _write(block.attention_out.weight[:, head * HALF : (head + 1) * HALF], target, out)


def episodes(learner: Transformer, batch: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, N, D) noisy copies of K orthogonal inputs, which each episode draws, and (B, N) their labels."""
    generator = torch.Generator().manual_seed(0)
    bases, _ = torch.linalg.qr(torch.randn(batch, FEATURES, FEATURES, generator=generator))
    y = torch.randint(CLASSES, (batch, LENGTH), generator=generator)
    x = bases[torch.arange(batch)[:, None], y] + 0.02 * torch.randn(batch, LENGTH, FEATURES, generator=generator)
    return x, y
