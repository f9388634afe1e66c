"""The evaluator's own check for leaks: a learner whose predictions change with their own labels gets no score.

`check_learner` tries artificial data first. This check, on batches that count, catches a learner that passes there but
cheats on real episodes, by mistake or not.
"""

import numpy as np
import torch

from gpicl_envs.learners.calls import Caller, LearnerCheckError
from gpicl_envs.learners.check import check_logits
from gpicl_envs.learners.rounding import TOLERANCE, rounding

GUARDED = 32  # episodes, in at least two batches


def guarded_batches(episodes: int, batch_size: int, seed: int) -> set[int]:
    """Return the numbers of the batches on which learners are checked: the first, and random others."""
    batches = -(-episodes // batch_size)
    count = min(max(2, -(-GUARDED // batch_size)), batches)
    return {0, *np.random.default_rng(seed).choice(np.arange(1, batches), count - 1, replace=False).tolist()}


class LeakageGuard:
    """Shows batches with other labels from some position on, and other inputs after it, to a copy of a learner.

    The copy, made before the learner sees any episode, never sees the true labels, so that it cannot answer from
    memory; only a learner that cannot be copied is asked itself, before it sees the true ones.

    The position is the last one in the first episode; then, in turn, a random one of the final positions and a random
    one of all.

    Args:
        caller: calls the learner.
        last: number of final positions.
    """

    def __init__(self, caller: Caller, last: int) -> None:
        self.caller, self.last = caller, last
        self.copy = caller.copy()
        self.episodes = 0  # that it has altered

    def alter(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Let the copy predict the altered batch; `check` then compares.

        Args:
            x: (B, N, D).
            y: (B, N).
            seed: of the positions and of the other labels.
        """
        (b, n), n_classes = y.shape, self.caller.learner.n_classes
        generator = np.random.default_rng([seed, b])
        number = self.episodes + np.arange(b)
        start = np.where(number % 2, n - min(self.last, n), 0)
        start[number == 0] = n - 1
        self.episodes += b
        self.position = torch.from_numpy(generator.integers(start, n)).to(x.device)[:, None]
        hidden = torch.arange(n, device=x.device) >= self.position  # (B, N): labels that the prediction may not see
        shift = torch.from_numpy(generator.integers(1, max(2, n_classes), (b, n))).to(x.device)
        other_y = torch.where(hidden, y + shift if n_classes == 1 else (y + shift) % n_classes, y)
        self.later = torch.arange(n, device=x.device) > self.position
        other_x = torch.where(self.later[..., None], x.flip(2), x)
        self.copy.draw_as(self.caller)
        self.again = self.copy.predict(other_x, other_y)

    def check(self, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> None:
        """Compare the predictions of the batch with those of the altered one.

        Args:
            x: (B, N, D).
            y: (B, N).
            logits: (B, N, K) predictions for them.

        Raises:
            LearnerCheckError: a prediction before or at its episode's position changed, or its most likely label did.
        """
        check_logits(self.again, tuple(logits.shape), f"{self.caller.learner.name}.predict(x, y)")
        gap = (self.again - logits).abs().amax(2).masked_fill(self.later, 0.0)
        moved = gap > TOLERANCE * logits.abs().amax(2).clamp_min(1.0)  # of each row: a huge one excuses no other
        turned = (self.again.argmax(2) != logits.argmax(2)) & ~self.later & ~moved
        if turned.any():  # rounding may decide between labels that are as likely as each other
            moved |= turned & (gap > rounding(self.caller, x, y, logits))
        if moved.any():
            episode, row = (int(index) for index in moved.nonzero()[0])
            raise LearnerCheckError(
                f"Not causal: on episodes of the evaluation, the prediction of {self.caller.learner.name} at position "
                f"{row} changed with the labels from position {int(self.position[episode])} on or the inputs after it, "
                "which it must not see. It gets no score."
            )
