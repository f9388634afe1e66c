"""Modes of torch that a caller may have set, and that must not reach into environments."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

AUTOCAST_DEVICES = ("cpu", "cuda")
P = ParamSpec("P")
R = TypeVar("R")


def in_plain_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function without inference mode, gradients and autocast, whatever surrounds its calls.

    The tensors that it makes can be written to later, keep no graph of what they were made from, and have the numbers
    that they have anywhere else. It must name dtypes and devices itself: their defaults are those of the whole process.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for device in AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                with torch.autocast(device, enabled=False):
                    return run(*args, **kwargs)
        if torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return run(*args, **kwargs)
        if torch.is_grad_enabled():
            with torch.no_grad():
                return function(*args, **kwargs)
        return function(*args, **kwargs)

    return run
