"""The evaluator's own guard: no learner gets a score with a prediction that changes with its own label.

`check_learner` tries artificial data before; a learner that behaves there and cheats on the real episodes, by
mistake or not, is found here, on the very episodes that it is scored on.
"""

import torch

from gpicl_envs.learner import Learner, evaluating
from gpicl_envs.testing import STEP_TOLERANCE, LearnerCheckError, check_logits

EPISODES = 2
POSITIONS = 3


def guard_causality(learner: Learner, x: torch.Tensor, y: torch.Tensor, n_classes: int) -> None:
    """Ask again about episodes whose labels from some position on, and inputs after it, are others.

    Args:
        learner: asked with `predict`.
        x: (B, N, D) inputs, of which the first two episodes are tried, at three positions spread over them.
        y: (B, N) labels, or values.
        n_classes: K; 1 for values.

    Raises:
        LearnerCheckError: a prediction before or at the position is another one.
    """
    x, y = x[:EPISODES].to(learner.device), y[:EPISODES].to(learner.device)
    length = y.shape[1]
    with torch.no_grad(), evaluating(learner):
        before = learner.predict(x, y)
        check_logits(before, (*y.shape, n_classes), f"{learner.name}.predict(x, y)")
        for n in sorted({round(share * (length - 1) / POSITIONS) for share in range(1, POSITIONS + 1)}):
            other_x, other_y = x.clone(), y.clone()
            other_y[:, n:] = y[:, n:] + 1 if n_classes == 1 else (y[:, n:] + 1) % n_classes
            other_x[:, n + 1 :] = x[:, n + 1 :].flip(2)
            gap = (learner.predict(other_x, other_y)[:, : n + 1] - before[:, : n + 1]).abs()
            if gap.max() > STEP_TOLERANCE * before.abs().max().clamp_min(1.0):
                row = int((gap.amax((0, 2)) == gap.max()).nonzero()[0])
                raise LearnerCheckError(
                    f"Not causal: on episodes of the evaluation, the prediction of {learner.name} at position {row} "
                    f"changed with the labels from position {n} on or the inputs after it, which it is not to see. It "
                    "gets no score."
                )
