"""Finite-horizon planning by dynamic programming, for a batch of Markov decision processes."""

import torch

from gpicl_envs.sampling.torch_modes import in_plain_mode


@in_plain_mode
def plan(transitions: torch.Tensor, rewards: torch.Tensor, horizon: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best policy and its values, by backward induction (Puterman 1994, section 4.5).

    Args:
        transitions: (B, S, A, S) probabilities of the next state.
        rewards: (B, S, A) expected rewards.
        horizon: H, steps of an episode.

    Returns:
        (B, H, S) int64, the best action in each step and state, and (B, S), the expected return of an episode that
        begins in each state.
    """
    n_problems, n_states, n_actions = rewards.shape
    rows = transitions.reshape(n_problems, n_states * n_actions, n_states)
    value = torch.zeros_like(rewards[:, :, 0])
    policy = []
    for _ in range(horizon):
        after = torch.bmm(rows, value[:, :, None]).view(n_problems, n_states, n_actions)
        value, best = (rewards + after).max(2)
        policy.append(best)
    return torch.stack(policy[::-1], 1), value
