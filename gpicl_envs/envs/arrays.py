"""The operations that the rules of the environments need, on torch's tensors and NumPy's arrays alike."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Array: TypeAlias = Any  # a tensor or an array; what is made of it is of the same library


def as_tensor(given: Any, device: torch.device) -> torch.Tensor:
    """Return numbers, an array, a tensor, or a list of any of them as a tensor on the device, in their own dtype."""
    given = _stacked(given)
    if not isinstance(given, torch.Tensor):
        # A copy: torch cannot take every array as it is, since some have negative strides or read-only memory.
        given = torch.from_numpy(np.array(given))
    return given.to(device)


def as_array(given: Any) -> NDArray[Any]:
    """Return numbers, an array, a tensor, or a list of any of them as a new array.

    Raises:
        TypeError: they are no numbers.
    """
    given = _stacked(given)
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        given = given.float() if given.dtype is torch.bfloat16 else given  # which NumPy has not
    array = np.array(given)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is no type of numbers.")
    return array


def to_int(array: Array) -> Array:
    """Return the numbers as int64."""
    return array.long() if isinstance(array, torch.Tensor) else array.astype(np.int64)


def to_float(array: Array) -> Array:
    """Return the numbers as float32; too large ones are infinite."""
    if isinstance(array, torch.Tensor):
        return array.float()
    if array.dtype == np.float64:  # the only one of which NumPy would warn
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    return array.astype(np.float32)


def one_hot(labels: Array, n_classes: int) -> Array:
    """(B,) int64 labels → (B, K) float32."""
    if isinstance(labels, torch.Tensor):
        return functional.one_hot(labels, n_classes).float()
    return (labels[:, None] == np.arange(n_classes)).astype(np.float32)


def where(condition: Array, yes: Array, no: Array) -> Array:
    """Return the elements of `yes` where the condition holds, else of `no`."""
    return torch.where(condition, yes, no) if isinstance(condition, torch.Tensor) else np.where(condition, yes, no)


def label_likelihood(logits: Array, labels: Array) -> Array:
    """(B, K) float32 logits, (B,) labels → (B,) log-likelihoods under the softmax, in nats.

    Always by torch, so that both libraries have the same bits.
    """
    if isinstance(logits, torch.Tensor):
        return logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return torch.from_numpy(logits).log_softmax(1).numpy()[np.arange(len(labels)), labels]


def _stacked(given: Any) -> Any:
    """A list of tensors as one."""
    if isinstance(given, list | tuple) and given and all(isinstance(one, torch.Tensor) for one in given):
        return torch.stack(tuple(given))
    return given
