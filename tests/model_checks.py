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
