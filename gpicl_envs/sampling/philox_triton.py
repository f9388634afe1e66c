"""Philox4x64-10 as one kernel: on a GPU, the hundreds of small operations of `philox.py` would cost more than learning.

It gives the same words, to the last bit.
"""

import torch
import triton
import triton.language as tl

BLOCK = 256  # counters to a program


def triton_words(key: torch.Tensor, number: torch.Tensor, purpose: int, substream: int, n_words: int) -> torch.Tensor:
    """Return (B, n_words) int64 random words of the streams named by int64 keys and numbers (B,)."""
    n_blocks = -(-n_words // 4)
    words = torch.empty(len(key), 4 * n_blocks, dtype=torch.int64, device=key.device)
    grid = len(key), triton.cdiv(n_blocks, BLOCK)
    _philox4x64[grid](key, number, words, purpose, substream, n_blocks, BLOCK)
    return words[:, :n_words]


@triton.jit(do_not_specialize=["purpose", "substream", "n_blocks"])
def _philox4x64(keys, numbers, words, purpose, substream, n_blocks, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Four words of each counter; the constants are those of `philox.py`, which Triton wants spelled out."""
    row = tl.program_id(0).to(tl.int64)
    block = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], tl.uint64)
    c0 = zero + (block + 1).to(tl.uint64)
    c1 = zero + tl.load(numbers + row).to(tl.uint64)
    c2 = zero + substream.to(tl.uint64)
    c3 = zero
    k0 = zero + tl.load(keys + row).to(tl.uint64)
    k1 = zero + purpose.to(tl.uint64)
    m0 = zero + 0xD2E7470EE14C6C93
    m1 = zero + 0xCA5A826395121157
    for _ in tl.static_range(10):
        high0 = tl.umulhi(m0, c0)
        high1 = tl.umulhi(m1, c2)
        low0 = m0 * c0
        low1 = m1 * c2
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 += 0x9E3779B97F4A7C15
        k1 += 0xBB67AE8584CAA73B
    place = words + row * 4 * n_blocks + 4 * block
    inside = block < n_blocks
    tl.store(place, c0.to(tl.int64), mask=inside)
    tl.store(place + 1, c1.to(tl.int64), mask=inside)
    tl.store(place + 2, c2.to(tl.int64), mask=inside)
    tl.store(place + 3, c3.to(tl.int64), mask=inside)
