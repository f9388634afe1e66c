"""What tests of models share: weights away from their initial zeros, and gradients against finite differences."""

from typing import Any, TypeVar

import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

Model = TypeVar("Model")


def perturbed(learner: Model, scale: float = 0.2) -> Model:
    """Add noise to all parameters: the initial zeros would hide a leak."""
    module: Any = learner
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data += scale * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def check_gradients(learner: Any, x: torch.Tensor, y: torch.Tensor, tolerance: float = 1e-6) -> None:
    """Compare one element of every trained parameter's gradient with a central difference, in float64."""

    def loss() -> torch.Tensor:
        predicted = learner.predict(x, y)
        return mse_loss(predicted[..., 0], y) if y.is_floating_point() else cross_entropy(predicted.mT, y)

    loss().backward()
    for name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} is never used"
        place = tuple(torch.tensor(parameter.shape) // 2)
        with torch.no_grad():
            parameter[place] += 1e-6
            above = loss()
            parameter[place] -= 2e-6
            below = loss()
            parameter[place] += 1e-6
        expected = pytest.approx(((above - below) / 2e-6).item(), abs=tolerance)
        assert parameter.grad[place].item() == expected, name


def check_attention(learner: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    """The weights, applied to the values, give what the fused kernel read; none are of later tokens."""
    read: dict[int, list[torch.Tensor]] = {}
    own: dict[int, list[torch.Tensor]] = {}

    def compare(block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        weights = block.weights(*args, **kwargs)
        values = block.queries_keys_values(block.norm_attention(args[0])).chunk(3, 2)[2]
        heads = values.unflatten(2, (learner.n_heads, -1)).transpose(1, 2)
        own.setdefault(id(block.attention_out), []).append((weights @ heads).transpose(1, 2).flatten(2))

    def keep(out: Any, args: tuple[Any, ...]) -> None:
        read.setdefault(id(out), []).append(args[0])

    for block in learner.blocks:
        block.register_forward_pre_hook(compare, with_kwargs=True)
        block.attention_out.register_forward_pre_hook(keep)
    before = learner.predict(x, y)
    assert len(read) == learner.n_layers
    for key, (fused,) in read.items():
        assert torch.allclose(own[key][0], fused, atol=1e-5)
    weights = learner.attention(x, y)
    size = (2 if learner.tokens == "query" else 1) * x.shape[1]
    assert weights.shape == (len(x), learner.n_layers, learner.n_heads, size, size)
    assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5) and (weights >= 0).all()
    assert weights.triu(1).abs().max() == 0 and (weights[..., 1:, :].max(-1).values < 1).any()
    assert torch.equal(learner.predict(x, y), before)
