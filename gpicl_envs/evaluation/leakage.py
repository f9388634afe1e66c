"""The evaluator's own check for leaks: a learner whose predictions change with their own labels gets no score.

`check_learner` tries artificial data first. This check, on batches that count, catches a learner that passes there but
cheats on real episodes, by mistake or not.
"""

import numpy as np
import torch

from gpicl_envs.learners.calls import Caller, LearnerCheckError
from gpicl_envs.learners.rounding import TOLERANCE, rounding


def refuse_leakage(
    caller: Caller, logits: torch.Tensor, x: torch.Tensor, y: torch.Tensor, *, last: int, seed: int
) -> None:
    """Predict a batch again with other labels from some position on, and other inputs after it.

    The position is the last one in the first episode; then, in turn, a random one of the final positions and a random
    one of all.

    Args:
        caller: calls the learner.
        logits: (B, N, K) predictions for the batch.
        x: (B, N, D).
        y: (B, N).
        last: number of final positions.
        seed: of the positions and of the other labels.

    Raises:
        LearnerCheckError: a prediction before or at its episode's position changed, or its most likely label did.
    """
    (b, n), n_classes = y.shape, logits.shape[2]
    generator = np.random.default_rng([seed, b])
    start = np.where(np.arange(b) % 2, n - min(last, n), 0)
    start[0] = n - 1
    position = torch.from_numpy(generator.integers(start, n)).to(x.device)[:, None]
    hidden = torch.arange(n, device=x.device) >= position  # (B, N): labels that the prediction may not see
    shift = torch.from_numpy(generator.integers(1, max(2, n_classes), (b, n))).to(x.device)
    other_y = torch.where(hidden, y + shift if n_classes == 1 else (y + shift) % n_classes, y)
    later = torch.arange(n, device=x.device) > position
    other_x = torch.where(later[..., None], x.flip(2), x)
    with torch.no_grad():
        again = caller.predict(other_x, other_y)
        gap = (again - logits).abs().amax(2).masked_fill(later, 0.0)
        moved = ~(gap <= TOLERANCE * logits.abs().amax(2).clamp_min(1.0))  # of each row: a huge one excuses no other
        turned = (again.argmax(2) != logits.argmax(2)) & ~later & ~moved
        if n_classes > 1 and turned.any():  # between two labels that rounding alone tells apart, it may
            moved |= turned & ~(gap <= rounding(caller, x, y, logits))
    if moved.any():
        episode, row = (int(index) for index in moved.nonzero()[0])
        raise LearnerCheckError(
            f"Not causal: on episodes of the evaluation, the prediction of {caller.learner.name} at position {row} "
            f"changed with the labels from position {int(position[episode])} on or the inputs after it, which it must "
            "not see. It gets no score."
        )
