"""The evaluator's own check for leaks: a learner whose predictions change with their own labels gets no score.

`check_learner` tries artificial data first. This check, on batches that count, catches a learner that passes there but
cheats on real episodes, by mistake or not.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.calls import Caller, LearnerCheckError
from gpicl_envs.learners.check import check_logits
from gpicl_envs.learners.rounding import TOLERANCE, rounding
from gpicl_envs.tasks.base import EpisodeDistribution

GUARDED = 32  # episodes, in at least two batches
LUCK = 1e-9  # bound on the probability that a learner which does not see them predicts so many of the other labels


def guarded_batches(episodes: int, batch_size: int, seed: int) -> set[int]:
    """Return the numbers of the batches on which learners are checked: the first, and random others."""
    batches = -(-episodes // batch_size)
    count = min(max(2, -(-GUARDED // batch_size)), batches)
    return {0, *np.random.default_rng(seed).choice(np.arange(1, batches), count - 1, replace=False).tolist()}


@torch.no_grad()
def altered_logits(
    learner: Learner, tasks: EpisodeDistribution, *, episodes: int, seed: int, batch_size: int, final_positions: int
) -> list[NDArray[Any]]:
    """Return what a learner predicts on the altered batches of an evaluation, for `evaluate(..., altered=...)`.

    In a process of its own, which never shows it the true labels, it cannot answer from any memory. The arguments are
    those of the evaluation.

    Returns:
        For each guarded batch (B, N, K) logits, float64.

    Raises:
        LearnerCheckError: it did not return finite (B, N, K) logits, or changed its arguments.
    """
    guard, found = LeakageGuard(Caller(learner), final_positions), []
    for number in sorted(guarded_batches(episodes, batch_size, seed)):
        first = number * batch_size
        batch = tasks.sample(min(batch_size, episodes - first), seed, first)
        guard.alter(batch.x.to(learner.device), batch.y.to(learner.device), seed + first)
        found.append(guard.again.double().cpu().numpy())
    return found


class LeakageGuard:
    """Shows batches with other labels from some position on, and other inputs after it, to a copy of a learner.

    The copy, made before the learner sees any episode, never sees the true labels, so that it cannot answer from its
    memory; only a learner that cannot be copied is asked itself, before it sees the true ones. A memory that both share
    is noticed by the altered answers alone, with three classes or more: other labels are drawn at random, and no
    learner predicts more of them than the chance of one in K − 1 allows, unless it sees them. Answers from another
    process, which can share nothing, need no copy.

    The position is the last one in the first episode; then, in turn, a random one of the final positions and a random
    one of all.

    Args:
        caller: calls the learner.
        last: number of final positions.
        answers: for each batch, what `altered_logits` returned in another process; None asks a copy.
    """

    def __init__(self, caller: Caller, last: int, answers: Sequence[NDArray[Any]] | None = None) -> None:
        self.caller, self.last = caller, last
        self.copy = caller.copy() if answers is None else None
        self.answers: Iterator[NDArray[Any]] = iter(answers or ())
        self.episodes = 0  # that it has altered
        self.guesses = self.hits = 0  # predictions of the other labels, and how many of them were right

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
        if self.copy is None:
            self.again = torch.from_numpy(next(self.answers)).to(x.device)
        else:
            self.copy.draw_as(self.caller)
            self.again = self.copy.predict(other_x, other_y)
        check_logits(self.again, (b, n, n_classes), f"{self.caller.learner.name}.predict(x, y)")
        if n_classes > 2:  # of two, the other one is not drawn
            right = (self.again.argmax(2) == other_y)[hidden]
            self.guesses, self.hits = self.guesses + right.numel(), self.hits + int(right.sum())

    def check(self, x: torch.Tensor, y: torch.Tensor, logits: torch.Tensor) -> None:
        """Compare the predictions of the batch with those of the altered one.

        Args:
            x: (B, N, D).
            y: (B, N).
            logits: (B, N, K) predictions for them.

        Raises:
            LearnerCheckError: a prediction before or at its episode's position changed, or its most likely label did;
                or too many of the other labels were predicted.
        """
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
        if self.guesses and _luck(self.hits, self.guesses, 1 / (self.caller.learner.n_classes - 1)) < LUCK:
            raise LearnerCheckError(
                f"Not causal: on altered episodes of the evaluation, {self.caller.learner.name} predicted labels that "
                f"it must not see, drawn at random: {self.hits} of {self.guesses}. It gets no score."
            )


def _luck(hits: int, guesses: int, chance: float) -> float:
    """Chernoff's bound on the probability of so many hits, if each guess has at most this chance given all earlier."""
    rate = hits / guesses
    if rate <= chance:
        return 1.0
    wrong = (1 - rate) * math.log((1 - rate) / (1 - chance)) if rate < 1 else 0.0
    return math.exp(-guesses * (rate * math.log(rate / chance) + wrong))
