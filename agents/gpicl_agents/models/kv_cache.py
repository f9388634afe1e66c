"""`Rows`: a tensor that grows by rows, as caches do, without copying the earlier rows at every step."""

from dataclasses import dataclass, field

import torch


@dataclass
class _Buffer:
    """Room for more rows than are used, and how many have been written by any of the `Rows` that share it."""

    tensor: torch.Tensor
    written: int


@dataclass
class Rows:
    """The rows of a tensor (…, n, d); `append` returns a longer `Rows` and leaves this one unchanged.

    Appending writes into the free room of a buffer that both share, so n steps cost O(n) and not O(n²). Appending to
    the same rows a second time, to branch from one state, makes a copy. While gradients are recorded, every append
    copies, since autograd may still need the old values.

    Args:
        tensor: (…, n, d).
    """

    tensor: torch.Tensor
    _buffer: _Buffer | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.tensor.shape[-2]

    def append(self, rows: torch.Tensor) -> "Rows":
        """(…, t, d) → n + t rows."""
        if torch.is_grad_enabled():
            return Rows(torch.cat([self.tensor, rows], -2))
        n, end = len(self), len(self) + rows.shape[-2]
        buffer = self._buffer
        if buffer is None or buffer.written != n or buffer.tensor.shape[-2] < end:
            room = self.tensor.new_empty((*self.tensor.shape[:-2], max(16, 2 * end), self.tensor.shape[-1]))
            room[..., :n, :] = self.tensor
            buffer = _Buffer(room, n)
        buffer.tensor[..., n:end, :] = rows
        buffer.written = end
        return Rows(buffer.tensor[..., :end, :], buffer)

    def first(self, n: int) -> "Rows":
        """Return the first n rows; the rest is forgotten, and may be overwritten."""
        if n == len(self):
            return self
        if self._buffer is not None:
            self._buffer.written = n
        return Rows(self.tensor[..., :n, :], self._buffer)

    def last(self, n: int) -> "Rows":
        """Return the last n rows, or all if there are fewer."""
        return self if n >= len(self) else Rows(self.tensor[..., -n:, :])
