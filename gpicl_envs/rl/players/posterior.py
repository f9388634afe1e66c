"""Draws from posterior distributions."""

import torch


def draw_dirichlet(alpha: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw from Dirichlet distributions.

    `torch.distributions` takes no generator; what it calls does.

    Args:
        alpha: (…, K) float parameters above 0.
        generator: on the same device.

    Returns:
        (…, K) probabilities.
    """
    return torch._sample_dirichlet(alpha, generator=generator)


def explore(actions: torch.Tensor, n_actions: int, epsilon: float, generator: torch.Generator) -> torch.Tensor:
    """Replace each of (B,) actions with probability epsilon by one that is drawn uniformly."""
    uniform = torch.rand(actions.shape, generator=generator, device=actions.device, dtype=torch.float32)
    random = torch.randint(n_actions, actions.shape, generator=generator, device=actions.device)
    return torch.where(uniform < epsilon, random, actions)
