import pytest
import torch
from torch_surroundings import SURROUNDINGS

from gpicl_envs.sampling.torch_modes import in_plain_mode


@in_plain_mode
def product(weights: torch.Tensor) -> torch.Tensor:
    """Of two float32 tensors, made and multiplied inside."""
    return torch.ones(2, 2, dtype=torch.float32, device="cpu") @ weights


@pytest.mark.parametrize("surrounding", ["inference mode", "no gradients", "autocast"])
def test_tensors_made_inside_are_plain_ones(surrounding: str):
    weights = torch.ones(2, 2, requires_grad=True)
    with SURROUNDINGS[surrounding]():
        made = product(weights)
    assert made.dtype == torch.float32 and not made.is_inference() and not made.requires_grad


def test_what_surrounds_the_call_is_as_before():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        product(torch.ones(2, 2))
        assert torch.is_inference_mode_enabled() and torch.is_autocast_enabled("cpu")
    product(torch.ones(2, 2))
    assert torch.is_grad_enabled()


def test_the_method_keeps_its_name_and_docstring():
    assert product.__name__ == "product" and product.__doc__ == "Of two float32 tensors, made and multiplied inside."
