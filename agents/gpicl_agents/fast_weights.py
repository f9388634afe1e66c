"""Fast-weight memories: one recurrence behind linear attention, state-space duality and the gated delta rule.

A memory is a matrix S (d_k × d_v) that every token writes to and reads from:

| rule | S_t | read |
|---|---|---|
| sum | α_t S_{t−1} + k_t v_tᵀ | o_t = S_tᵀ q_t |
| delta | α_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ | o_t = S_tᵀ q_t |

The delta rule (Widrow & Hoff 1960; as fast weights Schlag et al. 2021, arXiv:2102.11174) is a step of online least
squares: it writes u_t = β_t (v_t − α_t S_{t−1}ᵀ k_t), what the memory does not hold under k_t yet. So the u_t of a
chunk of C tokens, entered with the memory S_0, solve a triangular system (Yang et al. 2024, arXiv:2406.06484), and
with γ_t = α_1 ⋯ α_t all else is products of matrices:

    u_t + β_t Σ_{i<t} (γ_t/γ_i) (k_t·k_i) u_i = β_t (v_t − γ_t S_0ᵀ k_t)
    o_t = γ_t S_0ᵀ q_t + Σ_{i≤t} (γ_t/γ_i) (q_t·k_i) u_i
    S_C = γ_C S_0 + Σ_i (γ_C/γ_i) k_i u_iᵀ

The sum rule is the same with u_t = v_t. Ratios γ_t/γ_i ≤ 1 are exponentials of differences of logarithms, so that no
decay, however strong, divides by a number that has vanished.
"""

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
    """Write T tokens to the memory, each reading what is written up to itself.

    Args:
        memory: (B, H, d_k, d_v) S_0.
        queries: (B, H, T, d_k) q.
        keys: (B, H, T, d_k) k; for the delta rule of norm ≤ 1, else the memory may grow without bound.
        values: (B, H, T, d_v) v.
        log_decay: (B, H, T) log α ≤ 0.
        rates: (B, H, T) β, which makes it the delta rule; without them it is the sum rule.
        chunk: C, tokens computed at once. The result is the same for any: T/C is the number of sequential steps, and
            T·C·(d_k + d_v) + T·d_k·d_v the cost.

    Returns:
        (B, H, T, d_v) reads o, and the memory after the last token.
    """
    reads, kind = [], memory.dtype
    with torch.autocast(queries.device.type, enabled=False):  # sums and solutions keep the memory's precision
        for start in range(0, queries.shape[2], chunk):
            part = slice(start, start + chunk)
            read, memory = _chunk(
                memory,
                queries[:, :, part].to(kind),
                keys[:, :, part].to(kind),
                values[:, :, part].to(kind),
                log_decay[:, :, part].to(kind),
                None if rates is None else rates[:, :, part, None].to(kind),
            )
            reads.append(read)
    return torch.cat(reads, 2), memory


def _chunk(
    memory: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    log_decay: torch.Tensor,
    rates: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The equations of the module, for one chunk; rates are (B, H, C, 1)."""
    total = log_decay.cumsum(2)  # log γ
    kept = total.exp()[..., None]
    future = torch.ones(total.shape[2], total.shape[2], dtype=torch.bool, device=total.device).triu(1)
    decay = (total[..., :, None] - total[..., None, :]).masked_fill(future, -torch.inf).exp()  # γ_t/γ_i
    if rates is not None:
        system = rates * decay * (keys @ keys.mT)  # its diagonal is taken as 1
        unknown_yet = rates * (values - kept * (keys @ memory))
        values = torch.linalg.solve_triangular(system, unknown_yet, upper=False, unitriangular=True)
    read = kept * (queries @ memory) + (decay * (queries @ keys.mT)) @ values
    return read, kept[:, :, -1:] * memory + (decay[:, :, -1, :, None] * keys).mT @ values
