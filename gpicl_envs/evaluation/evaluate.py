"""`evaluate`: a learner on a distribution of tasks → its learning curve; the record of it is in `curve.py`."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.curve import ACCURACY, SQUARED_ERROR, LearningCurve, Likelihood
from gpicl_envs.evaluation.leakage import guard_causality
from gpicl_envs.evaluation.metrics import BINS, LAST
from gpicl_envs.evaluation.protocol import find_protocol
from gpicl_envs.learners.base import Learner, evaluating
from gpicl_envs.learners.check import check_fit, check_logits
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.episodes import Episodes
from gpicl_envs.tasks.oracle import Oracle


def evaluate(
    learner: Learner | Oracle,
    tasks: EpisodeDistribution,
    *,
    episodes: int = 1024,
    seed: int = 0,
    protocol: str | None = None,
    batch_size: int = 16,
    final_positions: int = LAST,
) -> LearningCurve:
    """Return the learning curve of one learner; see `evaluate_all`."""
    return evaluate_all(
        [learner],
        tasks,
        episodes=episodes,
        seed=seed,
        protocol=protocol,
        batch_size=batch_size,
        final_positions=final_positions,
    )[0]


@torch.no_grad()
def evaluate_all(
    learners: Sequence[Learner | Oracle],
    tasks: EpisodeDistribution,
    *,
    episodes: int = 1024,
    seed: int = 0,
    protocol: str | None = None,
    batch_size: int = 16,
    final_positions: int = LAST,
) -> list[LearningCurve]:
    """Return the learning curve of each learner on the same episodes.

    Episodes are made, answered and forgotten batch by batch: five bytes a prediction are kept (100,000 episodes of 100
    examples: 70 MB a learner). On the first batch and a random one each learner is checked for leaks (`leakage.py`).

    Args:
        learners: the learners, or the `Oracle`.
        tasks: where the episodes come from; number 0 … episodes − 1 of the stream `seed`.
        episodes: E.
        seed: another seed gives other episodes; the batch size does not change them. With the protocol
            "seen-task", these are the first environment's own, where a loop of yours trains on one reset with this
            seed: take another.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`. By default it follows from the tasks: new tasks
            of the test split are unseen, all others seen.
        batch_size: B, episodes at a time.
        final_positions: how many of the last positions are the final ones.

    Raises:
        TypeError: a learner or the tasks are something else.
        ValueError: a learner is made for another D or K, or an argument is out of range.
        LearnerCheckError: a learner returned something else than finite (B, N, K) logits, or saw the future.
    """
    check_integer("episodes", episodes, 1)
    check_integer("batch_size", batch_size, 1)
    check_integer("final_positions", final_positions, 1)
    _check_kinds(learners, tasks)
    protocol = find_protocol(protocol, tasks)
    for learner in learners:
        if not isinstance(learner, Oracle):
            check_fit(learner, tasks)
    scorers = [_Scorer(learner, tasks, episodes, min(final_positions, tasks.length)) for learner in learners]
    task_id = np.zeros(episodes, np.int64)
    guarded = {0, int(np.random.default_rng(seed).integers(-(-episodes // batch_size))) * batch_size}
    for first in range(0, episodes, batch_size):
        batch = tasks.sample(min(batch_size, episodes - first), seed, first)
        rows = slice(first, first + len(batch))
        task_id[rows] = batch.task_id.cpu().numpy()
        for scorer in scorers:
            scorer.add(batch, rows, guard=seed + first if first in guarded else None)
    return [
        LearningCurve(
            learner=scorer.learner.name,
            n_parameters=scorer.learner.n_parameters,
            state_size=scorer.state_size(tasks.length - 1),
            metric=scorer.metric,
            scores=scorer.scores,
            likelihood=scorer.likelihood,
            task_id=task_id,
            env_id=tasks.env_id,
            tasks=tasks.arguments,
            data=tasks.fingerprint,
            protocol=protocol,
            seed=seed,
            wall_seconds=scorer.seconds,
            device=str(scorer.learner.device),
            final_positions=final_positions,
        )
        for scorer in scorers
    ]


class _Scorer:
    """One learner's answers to E episodes, batch by batch."""

    def __init__(self, learner: Learner | Oracle, tasks: EpisodeDistribution, episodes: int, last: int) -> None:
        self.learner, self.tasks, self.n_classes, self.last = learner, tasks, tasks.n_classes, last
        self.seconds = 0.0
        shape = episodes, tasks.length
        self.metric, kind = (SQUARED_ERROR, np.float32) if tasks.is_regression else (ACCURACY, np.bool_)
        self.scores: Any = np.zeros(shape, kind)
        self.likelihood: Likelihood | None = None
        if not tasks.is_regression:
            self.likelihood = Likelihood(np.zeros(shape, np.float32), np.zeros((episodes, 3, BINS), np.float32))

    def state_size(self, n_examples: int) -> int:
        """Numbers that the prediction can read, as the learner is asked: a model in all its views."""
        with evaluating(self.learner):
            return self.learner.state_size(n_examples)

    def _answers(self, batch: Episodes, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, N, K). The oracle alone is shown the hidden tasks."""
        if isinstance(self.learner, Oracle):
            return self.learner.predict(batch, self.tasks)
        return self.learner.predict(x, y)

    def add(self, batch: Episodes, rows: slice, guard: int | None) -> None:
        """Answer a batch of episodes and keep the scores under their rows; guard it with a seed, if one is given."""
        start = time.perf_counter()
        x, y = batch.x.to(self.learner.device), batch.y.to(self.learner.device)
        with evaluating(self.learner):
            answers = self._answers(batch, x, y)
        check_logits(answers, (*y.shape, self.n_classes), f"{self.learner.name}.predict(x, y)")
        if self.likelihood is None:
            self.scores[rows] = (answers[..., 0] - y).square().cpu().numpy()
        else:
            right = answers.argmax(2) == y
            self.scores[rows] = right.cpu().numpy()
            nll = cross_entropy(answers.float().mT, y, reduction="none")
            self.likelihood.nll[rows] = nll.cpu().numpy()
            confidence = answers[:, -self.last :].float().softmax(2).amax(2)
            self.likelihood.bins[rows] = _binned(confidence, right[:, -self.last :]).cpu().numpy()
        self.seconds += time.perf_counter() - start
        if guard is not None and not isinstance(self.learner, Oracle):
            guard_causality(self.learner, answers, x, y, last=self.last, seed=guard)


def _binned(confidence: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(B, n) confidences and whether they were right → (B, 3, BINS) sums: confidence, right answers, predictions."""
    place = one_hot((confidence * BINS).long().clamp_max(BINS - 1), BINS).float()
    values = torch.stack([confidence, right.float(), torch.ones_like(confidence)], dim=1)
    return torch.einsum("bvn,bnk->bvk", values, place)


def _check_kinds(learners: Sequence[Any], tasks: Any) -> None:
    """Raise TypeError, saying how to make one, for what is no learner or no distribution of episodes."""
    if not isinstance(tasks, EpisodeDistribution):
        raise TypeError(
            f"tasks={tasks!r} is no distribution of episodes: give TaskDistribution('MNIST', split='test')."
        )
    for learner in learners:
        if not isinstance(learner, Learner | Oracle):
            raise TypeError(f"{learner!r} is no Learner: give make_learner('knn'), or derive a class from Learner.")
