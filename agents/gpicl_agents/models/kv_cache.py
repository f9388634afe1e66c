"""`Rows`: a tensor that grows by rows, as caches do, without copying the rows before at every step."""

from dataclasses import dataclass, field

import torch


@dataclass
class _Buffer:
    """Room for more rows than are used, and how many any holder has written."""

    tensor: torch.Tensor
    written: int


@dataclass
class Rows:
    """The rows of a tensor (…, n, d); `append` returns longer rows and leaves these as they are.

    Appending writes into room that is left in a buffer which both share, so n steps cost O(n) and not O(n²). Who
    appends to the same rows twice, to go two ways from one state, gets a copy. While gradients are recorded, rows are
    joined anew, since what they need must not be written over.

    Args:
        tensor: (…, n, d).
    """

    tensor: torch.Tensor
    _buffer: _Buffer | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.tensor.shape[-2]

    def append(self, rows: torch.Tensor) -> "Rows":
        """(…, t, d) → n + t rows."""
        n, end = len(self), len(self) + rows.shape[-2]
        if torch.is_grad_enabled():
            return Rows(torch.cat([self.tensor, rows], -2))
        buffer = self._buffer
        if buffer is None or buffer.written != n or buffer.tensor.shape[-2] < end:
            room = self.tensor.new_empty((*self.tensor.shape[:-2], max(16, 2 * end), self.tensor.shape[-1]))
            room[..., :n, :] = self.tensor
            buffer = _Buffer(room, n)
        buffer.tensor[..., n:end, :] = rows
        buffer.written = end
        return Rows(buffer.tensor[..., :end, :], buffer)

    def first(self, n: int) -> "Rows":
        """Return the first n rows; those after them are forgotten, and may be written over."""
        if n == len(self):
            return self
        if self._buffer is not None:
            self._buffer.written = n
        return Rows(self.tensor[..., :n, :], self._buffer)

    def last(self, n: int) -> "Rows":
        """Return the last n rows, or all where there are fewer."""
        return self if n >= len(self) else Rows(self.tensor[..., -n:, :])
