"""`evaluate`: a learner on a distribution of tasks → its learning curve."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, one_hot

from gpicl_envs.errors import check_integer
from gpicl_envs.evaluation.curve import LearningCurve, Likelihood
from gpicl_envs.evaluation.flops import flops_per_prediction
from gpicl_envs.evaluation.leakage import LeakageGuard, guarded_batches
from gpicl_envs.evaluation.metrics import BINS, LAST
from gpicl_envs.evaluation.protocol import find_protocol
from gpicl_envs.evaluation.references import find_references, squared_distances
from gpicl_envs.evaluation.schema import MOST_INTEGER
from gpicl_envs.learners.base import Learner, evaluating
from gpicl_envs.learners.calls import Caller
from gpicl_envs.learners.check import check_fit, check_logits
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.episodes import Episodes
from gpicl_envs.tasks.oracle import Oracle


def evaluate(
    learner: Learner | Oracle,
    tasks: EpisodeDistribution,
    *,
    altered: Sequence[NDArray[Any]] | None = None,
    **options: Any,
) -> LearningCurve:
    """Return the learning curve of one learner.

    Args:
        learner: the learner, or the `Oracle`.
        tasks: where the episodes come from.
        altered: what `altered_logits` returned for this evaluation in a process of its own, to which the predictions
            are compared instead of those of a copy.
        **options: keyword arguments of `evaluate_all`.
    """
    return evaluate_all([learner], tasks, altered=[altered], **options)[0]


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
    references: Mapping[str, Learner] | None = None,
    altered: Sequence[Sequence[NDArray[Any]] | None] | None = None,
) -> list[LearningCurve]:
    """Return the learning curve of each learner on the same episodes.

    Episodes are made and dropped batch by batch; 100,000 episodes of 100 examples take 70 MB a learner. Each learner is
    checked for leaks on the first batch and random ones (`leakage.py`); a copy of it predicts these with other labels.
    The check finds mistakes, not malice: a learner that shares a memory with its copy deceives it if there are only two
    classes, or real values; `gpicl benchmark` asks in another process.

    Args:
        learners: the learners, or the `Oracle`.
        tasks: where the episodes come from; number 0 … episodes − 1 of the stream `seed`.
        episodes: E.
        seed: of the episodes, which do not depend on the batch size. For the protocol `"seen-task"`, take another seed
            than training did: a training loop reset with this seed has shown these episodes.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`; by default unseen for one-off tasks of the test
            split, seen for all others.
        batch_size: B, episodes at a time.
        final_positions: how many of the last positions are the final ones.
        references: for regression, the learners by name to which the distance is measured, those of `find_references`
            by default.
        altered: for each learner, as for `evaluate`.

    Raises:
        TypeError: an argument is not a learner, or not a distribution of episodes.
        ValueError: a learner is made for another D or K, or an argument is out of range.
        LearnerCheckError: a learner did not return finite (B, N, K) logits, changed its arguments, or saw the future.
    """
    for name, count in (("episodes", episodes), ("batch_size", batch_size), ("final_positions", final_positions)):
        check_integer(name, count, 1)
    check_integer("seed", seed, 0, MOST_INTEGER - 1)
    _check_arguments(learners, tasks)
    protocol = find_protocol(protocol, tasks)
    references = find_references(tasks) if references is None else references
    guarded = guarded_batches(episodes, batch_size, seed)
    answers = [None] * len(learners) if altered is None else altered
    if any(found is not None and len(found) != len(guarded) for found in answers):
        raise ValueError("altered is of another evaluation: give altered_logits(...) of the same arguments.")
    scorers = [
        _Scorer(learner, tasks, episodes, final_positions, tuple(references), found)
        for learner, found in zip(learners, answers, strict=True)
    ]
    task_id = np.zeros(episodes, np.int64)
    for number, first in enumerate(range(0, episodes, batch_size)):
        batch = tasks.sample(min(batch_size, episodes - first), seed, first)
        rows = slice(first, first + len(batch))
        task_id[rows] = batch.groups.cpu().numpy()
        predicted = {name: each.predict(batch.x.double(), batch.y.double()) for name, each in references.items()}
        for scorer in scorers:
            scorer.add(batch, rows, predicted, guard=seed + first if number in guarded else None)
    return [scorer.curve(task_id, protocol, seed) for scorer in scorers]


class _Scorer:
    """The scores of one learner in E episodes, batch by batch."""

    def __init__(
        self,
        learner: Learner | Oracle,
        tasks: EpisodeDistribution,
        episodes: int,
        last: int,
        references: Sequence[str],
        altered: Sequence[NDArray[Any]] | None,
    ) -> None:
        self.learner, self.tasks, self.last = learner, tasks, last
        self.caller: Any = None if isinstance(learner, Oracle) else Caller(learner)
        self.guard = None if self.caller is None else LeakageGuard(self.caller, last, altered)
        self.seconds = 0.0
        shape = episodes, tasks.length
        self.scores: Any = np.zeros(shape, np.float32 if tasks.is_regression else np.bool_)
        self.distances = {name: np.zeros(episodes) for name in references}
        self.likelihood: Likelihood | None = None
        if not tasks.is_regression:
            self.likelihood = Likelihood(np.zeros(shape, np.float32), np.zeros((episodes, 3, BINS), np.float32))

    def add(self, batch: Episodes, rows: slice, references: Mapping[str, torch.Tensor], guard: int | None) -> None:
        """Predict a batch of episodes and keep the scores in their rows; check it for leaks if a seed is given.

        `references` are the predictions (B, N, 1) of the reference learners, by name.
        """
        learner = self.learner
        x, y = batch.x.to(learner.device), batch.y.to(learner.device)
        if guard is not None and self.guard is not None:
            self.guard.alter(x, y, guard)
        start = time.perf_counter()
        if isinstance(learner, Oracle):  # only it sees the hidden tasks
            logits = learner.predict(batch, self.tasks)
        else:
            logits = self.caller.predict(x, y)
        check_logits(logits, (*y.shape, self.tasks.n_classes), f"{learner.name}.predict(x, y)")
        if self.likelihood is None:
            self.scores[rows] = (logits[..., 0] - y).square().cpu().numpy()
            for name, distances in squared_distances(references, logits).items():
                self.distances[name][rows] = distances.cpu().numpy()
        else:
            correct = logits.argmax(2) == y
            self.scores[rows] = correct.cpu().numpy()
            self.likelihood.nll[rows] = cross_entropy(logits.float().mT, y, reduction="none").cpu().numpy()
            confidence = logits[:, -self.last :].float().softmax(2).amax(2)
            self.likelihood.bins[rows] = _binned(confidence, correct[:, -self.last :]).cpu().numpy()
        self.seconds += time.perf_counter() - start
        if guard is not None and self.guard is not None:
            self.guard.check(x, y, logits)

    def curve(self, task_id: np.ndarray[Any, np.dtype[np.int64]], protocol: str, seed: int) -> LearningCurve:
        """Return the learning curve of all episodes."""
        learner, tasks = self.learner, self.tasks
        with evaluating(learner):  # a projection ensemble then counts all its projections
            state_size = learner.state_size(tasks.length - 1)
        return LearningCurve(
            learner=learner.name,
            n_parameters=learner.n_parameters,
            state_size=state_size,
            metric="squared_error" if tasks.is_regression else "accuracy",
            scores=self.scores,
            likelihood=self.likelihood,
            distances=self.distances,
            task_id=task_id,
            env_id=tasks.env_id,
            tasks=tasks.arguments,
            data=tasks.fingerprint,
            protocol=protocol,
            seed=seed,
            wall_seconds=self.seconds,
            flops_per_prediction=self._flops(),
            device=str(learner.device),
            final_positions=self.last,
        )

    def _flops(self) -> float | None:
        """What a prediction costs, counted after all scores are known, on the guard's copy if it has one."""
        if self.guard is None:
            return None
        return flops_per_prediction(self.guard.copy or self.caller, self.tasks.length)


def _binned(confidence: torch.Tensor, correct: torch.Tensor) -> torch.Tensor:
    """(B, n) confidences, and whether they were correct → (B, 3, BINS) sums of confidence, correct and predictions."""
    place = one_hot((confidence * BINS).long().clamp_max(BINS - 1), BINS).float()
    values = torch.stack([confidence, correct.float(), torch.ones_like(confidence)], dim=1)
    return torch.einsum("bvn,bnk->bvk", values, place)


def _check_arguments(learners: Sequence[Any], tasks: Any) -> None:
    """Raise TypeError for objects of another type, ValueError for a learner of another D or K."""
    if not isinstance(tasks, EpisodeDistribution):
        raise TypeError(
            f"tasks={tasks!r} is not a distribution of episodes: give TaskDistribution('MNIST', split='test')."
        )
    for learner in learners:
        if not isinstance(learner, Learner | Oracle):
            raise TypeError(f"{learner!r} is not a Learner: give make_learner('knn'), or derive a class from Learner.")
        if not isinstance(learner, Oracle):  # it fits all tasks
            check_fit(learner, tasks)
