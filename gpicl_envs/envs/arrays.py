"""The operations that the rules of the environments need, on torch's tensors and NumPy's arrays alike."""

from itertools import pairwise
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
        given = (given.float() if given.dtype is torch.bfloat16 else given).numpy()  # NumPy has no bfloat16
    array = np.array(given)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is no type of numbers.")
    return array


def to_int(array: Array) -> Array:
    """Return the numbers as int64."""
    return array.long() if isinstance(array, torch.Tensor) else array.astype(np.int64, copy=False)


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


def filled(like: Array, value: float) -> Array:
    """Return an array of the same shape and dtype, with the same value everywhere."""
    return torch.full_like(like, value) if isinstance(like, torch.Tensor) else np.full(like.shape, value, like.dtype)


def copied(array: Array) -> Array:
    """Return the same in memory of its own."""
    return array.clone() if isinstance(array, torch.Tensor) else array.copy()


def take_columns(table: Array, index: Array) -> Array:
    """(R, n) rows, (B,) int64 → (n, B), the rows at these places as columns: NumPy is slow along short rows."""
    if isinstance(table, torch.Tensor):
        return table.index_select(0, index).T
    return np.ascontiguousarray(table.take(index, 0).T)


def cumulated(rows: Array) -> Array:
    """(n, B) → (n, B), the sums of each row and those before it; an array holds them in its own memory then."""
    if isinstance(rows, torch.Tensor):
        return rows.cumsum(0)
    for before, row in pairwise(rows):  # ten times as fast as cumsum
        row += before
    return rows


class Lookup:
    """Fixed rows, looked up by tensors and by arrays alike.

    Args:
        rows: (R, …) numbers.
        device: of the tensors.
    """

    def __init__(self, rows: NDArray[Any], device: torch.device) -> None:
        self._array, self._tensor = rows, torch.from_numpy(rows).to(device)

    def __getitem__(self, index: Array) -> Array:
        """(B,) int64 → (B, …), the rows at these places."""
        return self._tensor[index] if isinstance(index, torch.Tensor) else self._array.take(index, 0)


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
