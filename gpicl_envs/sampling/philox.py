"""Random words as a pure function of a counter: the same episode on any machine, device, batch size and batch order.

The generator is Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
On the CPU NumPy computes it, on a GPU Triton (`philox_triton.py`), elsewhere torch's integers: the very same bits.

Normals come from 16 bits each, through a table of the normal quantile function. A look-up has no rounding that differs
between devices, and on a CPU it is faster than `torch.randn` (`benchmarks/env_throughput.py`). In return, values lie on
65,536 equally likely levels, within ±4.33 standard deviations.
"""

from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MASK32 = 0xFFFFFFFF
MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
WEYL = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
WORD = 1 << 64

UInt64Array = NDArray[np.uint64]


class Streams:
    """B independent streams of random words, named by `(key, number)`; reading a stream again gives the same words.

    Args:
        key: (B,) the seed of each stream.
        number: (B,) the number of each stream among those of its seed: an episode number or a task id.
        purpose: separates streams of different kinds with the same seed.
        device: where the words are computed and returned.
    """

    def __init__(self, key: UInt64Array, number: UInt64Array, purpose: int, device: torch.device) -> None:
        self.key, self.number, self.purpose, self.device = key, number, purpose, device

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Streams":
        return Streams(self.key[rows], self.number[rows], self.purpose, self.device)

    def replaced(self, rows: NDArray[np.int64], new: "Streams") -> "Streams":
        """Return these streams with those of `new` in the given rows."""
        key, number = self.key.copy(), self.number.copy()
        key[rows], number[rows] = new.key, new.number
        return Streams(key, number, self.purpose, self.device)

    def words(self, n_words: int, substream: int = 0) -> torch.Tensor:
        """Return (B, n_words) int64 with 64 random bits each; another `substream` gives other words."""
        if self.device.type == "cpu":
            return torch.from_numpy(self._numpy_words(n_words, substream).view(np.int64))
        return self._torch_words(n_words, substream)

    def below(self, bound: torch.Tensor | int, n: int, substream: int = 0) -> torch.Tensor:
        """Return (B, n) int64, uniform on 0 … bound − 1 (multiply-shift of 32 bits: bias below bound / 2^32)."""
        return (((self.words(n, substream) >> 32) & MASK32) * bound) >> 32

    def bits(self, width: int, n: int, substream: int = 0) -> torch.Tensor:
        """Return (B, n) int32, uniform on 0 … 2^width − 1, with a width of at most 31."""
        return self.words(n, substream).bitwise_right_shift_(64 - width).bitwise_and_((1 << width) - 1).int()

    def uniform(self, n: int, substream: int = 0) -> torch.Tensor:
        """Return (B, n) float64, uniform on [0, 1), with 53 random bits."""
        return (self.words(n, substream) >> 11).bitwise_and_((1 << 53) - 1).double().mul_(2.0**-53)

    def permutation(self, n: int, substream: int = 0) -> torch.Tensor:
        """Return (B, n) int64: a uniform permutation of 0 … n − 1 in each row."""
        return self.words(n, substream).argsort(dim=1, stable=True)

    def normal(self, *shape: int, substream: int = 0) -> torch.Tensor:
        """Return (B, *shape) float32 standard normals, four to a word."""
        n = int(np.prod(shape))
        words = self.words(-(-n // 4), substream)
        if self.device.type == "cpu":
            levels = words.numpy().view(np.uint16)[:, :n]
            values = torch.from_numpy(np.take(_normal_table(self.device).numpy(), levels, mode="clip"))
        else:
            values = _normal_table(self.device)[words.view(torch.int16)[:, :n].int() & 0xFFFF]
        return values.view(len(self), *shape)

    def _numpy_words(self, n_words: int, substream: int) -> UInt64Array:
        words = np.empty((len(self), n_words), np.uint64)
        generator = np.random.Philox(key=0)  # one for all: to make it takes twenty times as long as to set its state
        state: Any = generator.state  # in which no words are left
        # NumPy steps the counter before the first block, hence block 0 here is block 1 there.
        counter, key = [0, 0, substream, 0], [0, self.purpose]
        state["state"] = {"counter": counter, "key": key}
        for i, (key[0], counter[1]) in enumerate(zip(self.key.tolist(), self.number.tolist(), strict=True)):
            generator.state = state
            words[i] = generator.random_raw(n_words)
        return words

    def _torch_words(self, n_words: int, substream: int) -> torch.Tensor:
        key0, number = self._names
        if self.device.type == "cuda" and find_spec("triton") is not None:
            from gpicl_envs.sampling.philox_triton import triton_words

            return triton_words(key0, number, self.purpose, substream, n_words)
        blocks = torch.arange(1, -(-n_words // 4) + 1, device=self.device)
        zeros = torch.zeros(len(self), len(blocks), dtype=torch.int64, device=self.device)
        counter = (blocks + zeros, number[:, None] + zeros, substream + zeros, zeros)
        block_words = philox4x64(counter, (key0[:, None], self.purpose + torch.zeros_like(key0)[:, None]))
        return torch.stack(block_words, dim=-1).flatten(1)[:, :n_words]

    @cached_property
    def _names(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) int64 keys and numbers, on the device."""
        key, number = (torch.from_numpy(array.view(np.int64).copy()) for array in (self.key, self.number))
        return key.to(self.device), number.to(self.device)


def philox4x64(counter: tuple[torch.Tensor, ...], key: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Ten rounds of Philox4x64 on four int64 tensors of counter words and two of key words (any one shape)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _multiply(MULTIPLIERS[0], c0)
        high1, low1 = _multiply(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _signed(WEYL[0]), k1 + _signed(WEYL[1])
    return c0, c1, c2, c3


def _multiply(a: int, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low 64 bits of the unsigned 128-bit product, from 32-bit halves (torch has no 128-bit integers)."""
    a_low, a_high = a & MASK32, a >> 32
    b_low, b_high = b & MASK32, (b >> 32) & MASK32
    middle0, middle1 = a_high * b_low, a_low * b_high
    carry = _upper(a_low * b_low) + (middle0 & MASK32) + (middle1 & MASK32)
    return a_high * b_high + _upper(middle0) + _upper(middle1) + _upper(carry), _signed(a) * b


def _upper(x: torch.Tensor) -> torch.Tensor:
    return (x >> 32) & MASK32


def _signed(x: int) -> int:
    return x - WORD if x >= WORD // 2 else x


@cache
def _normal_table(device: torch.device) -> torch.Tensor:
    """The 2^16 mid-quantiles of the standard normal, scaled to variance 1: (65536,) float32."""
    quantiles = torch.special.ndtri((torch.arange(1 << 16, dtype=torch.float64, device="cpu") + 0.5) / (1 << 16))
    return (quantiles / quantiles.square().mean().sqrt()).float().to(device)
