"""Rounding told from leaking: a causal convolution by FFT changes the last digits of predictions with the future, too.

Rounding is as large after a tiny change of the future as after another future; a leak shrinks with the change.
"""

import torch

from gpicl_envs.learners.calls import Caller

TOLERANCE = 1e-4  # of the largest logit: a larger change is never taken for rounding
MARGIN = 16  # rounding differs from change to change
NUDGE = 1e-4  # size of the tiny changes, as a fraction of the inputs
NUDGES = 4


def rounding(caller: Caller, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> float:
    """Return how far the predictions may change with the future, as a root mean square; 0 for those that stay the same.

    The inputs of the second half are changed a little. A leak changes the predictions of the first half in proportion,
    by about `NUDGE` of its size, and rounding as any other future does. (What no inputs enter, such as an FFT over
    labels alone, shows no rounding here.)

    Args:
        caller: calls the learner.
        x: (B, N, D).
        y: (B, N).
        logits: (B, N, K) predictions for them.
    """
    middle = (x.shape[1] - 1) // 2
    later = torch.arange(x.shape[1], device=x.device)[:, None] > middle
    largest = 0.0
    for number in range(1, NUDGES + 1):
        nudged = torch.where(later, x + number * NUDGE * x.flip(1), x)
        largest = max(largest, float(spread((caller.predict(nudged, y) - logits)[:, : middle + 1]).max()))
    scale = float(logits.abs().max().clamp_min(1.0))
    return min(MARGIN * largest, TOLERANCE * scale)


def spread(changes: torch.Tensor) -> torch.Tensor:
    """(B, n, K) changes of logits → (n,) their root mean squares."""
    return changes.double().square().mean((0, 2)).sqrt()
