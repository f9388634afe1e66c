"""Fast weights: the recurrence shared by linear attention, state-space models and the gated delta rule.

The memory is a matrix S (d_k × d_v) that every token writes to and reads from:

| rule | S_t | read |
|---|---|---|
| sum | α_t S_{t−1} + k_t v_tᵀ | o_t = S_tᵀ q_t |
| delta | α_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ | o_t = S_tᵀ q_t |

The delta rule (Widrow & Hoff 1960; as fast weights Schlag et al. 2021, arXiv:2102.11174) is a step of online least
squares: it writes u_t = β_t (v_t − α_t S_{t−1}ᵀ k_t), what the memory does not yet hold under the key k_t. For a chunk
of C tokens that starts from S_0, the u_t solve a triangular system (Yang et al. 2024, arXiv:2406.06484); with
γ_t = α_1 ⋯ α_t, everything else is a product of matrices:

    u_t + β_t Σ_{i<t} (γ_t/γ_i) (k_t·k_i) u_i = β_t (v_t − γ_t S_0ᵀ k_t)
    o_t = γ_t S_0ᵀ q_t + Σ_{i≤t} (γ_t/γ_i) (q_t·k_i) u_i
    S_C = γ_C S_0 + Σ_i (γ_C/γ_i) k_i u_iᵀ

The sum rule is the same with u_t = v_t. The ratios γ_t/γ_i ≤ 1 are computed as exponentials of differences of
logarithms, so that strong decay never divides by a number that has underflowed.
"""

from itertools import repeat

import torch


def write_and_read(
    memory: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    log_decay: torch.Tensor,
    *,
    rates: torch.Tensor | None = None,
    chunk: int = 128,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Write T tokens to the memory; each reads what has been written up to and including itself.

    Args:
        memory: (B, H, d_k, d_v) S_0.
        queries: (B, H, T, d_k) q.
        keys: (B, H, T, d_k) k; for the delta rule of norm ≤ 1, or the memory may grow without bound.
        values: (B, H, T, d_v) v.
        log_decay: (B, H, T) log α ≤ 0.
        rates: (B, H, T) β of the delta rule; None selects the sum rule.
        chunk: C, tokens computed at once. It does not change the result: there are T/C sequential steps, at a cost of
            T·C·(d_k + d_v) + T·d_k·d_v.

    Returns:
        (B, H, T, d_v) reads o, and the memory after the last token.
    """
    reads, parts = [], [part.to(memory.dtype).split(chunk, 2) for part in (queries, keys, values, log_decay)]
    rate_parts = repeat(None) if rates is None else rates[..., None].to(memory.dtype).split(chunk, 2)
    with torch.autocast(queries.device.type, enabled=False):  # sums and solutions keep the memory's precision
        for q, k, u, log_alpha, beta in zip(*parts, rate_parts, strict=False):
            # The equations of the module; u is v, unless the delta rule solves for it.
            log_gamma = log_alpha.cumsum(2)
            gamma = log_gamma.exp()[..., None]
            future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
            ratio = (log_gamma[..., :, None] - log_gamma[..., None, :]).masked_fill(future, -torch.inf).exp()
            if beta is not None:
                u = beta * (u - gamma * (k @ memory))  # not held yet
                if q.shape[2] > 1:  # the first of a chunk has nothing to solve for
                    system = beta * ratio * (k @ k.mT)  # its diagonal is taken as 1
                    u = torch.linalg.solve_triangular(system, u, upper=False, unitriangular=True)
            reads.append(gamma * (q @ memory) + (ratio * (q @ k.mT)) @ u)
            memory = gamma[:, :, -1:] * memory + (ratio[:, :, -1, :, None] * k).mT @ u
    return torch.cat(reads, 2), memory
