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


def take_rows(table: Array, index: Array) -> Array:
    """(R, …) rows, (B,) int64 → (B, …), the rows at these places."""
    return table.index_select(0, index) if isinstance(table, torch.Tensor) else table.take(index, 0)


def sorted_rows(values: torch.Tensor) -> torch.Tensor:
    """Return the numbers in ascending order along the last dimension; on the CPU by NumPy, three times as fast."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy()))
    return values.sort(dim=-1).values


def count_up_to(limits: Array, values: Array) -> Array:
    """(B, n) numbers in ascending order in each row, (B,) → (B,) int64, how many of its row each value reaches.

    Always by torch: for a large batch NumPy takes seven times as long.
    """
    if isinstance(limits, torch.Tensor):
        return torch.searchsorted(limits, values[:, None].contiguous(), right=True)[:, 0]
    return count_up_to(torch.from_numpy(limits), torch.from_numpy(values)).numpy()


class Table:
    """Fixed rows, looked up by tensors and by arrays alike.

    Args:
        rows: (R, …) numbers.
        device: of the tensors.
    """

    def __init__(self, rows: NDArray[Any], device: torch.device) -> None:
        self._array, self._tensor = rows, torch.from_numpy(rows).to(device)

    def __getitem__(self, index: Array) -> Array:
        """(B,) int64 → (B, …), the rows at these places."""
        return take_rows(self._tensor if isinstance(index, torch.Tensor) else self._array, index)


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
