"""`LearningCurve`: what a learner did in many episodes, its statistics with intervals, and the record of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets import ARRAY_ID
from gpicl_envs.evaluation.metrics import (
    BINS,
    LAST,
    Interval,
    bootstrap,
    calibration_error,
    columns,
    examples_to,
    interval,
    resampled_means,
)
from gpicl_envs.evaluation.provenance import package_versions, source_commit
from gpicl_envs.evaluation.records import SCHEMA

ACCURACY, SQUARED_ERROR = "accuracy", "squared_error"
LEVELS = (0.5, 0.7)


class Likelihood(NamedTuple):
    """What the probabilities of E episodes say, beside which label was likeliest.

    Args:
        nll: (E, N) negative log-likelihood of each label, in nats.
        bins: (E, 3, BINS) sums of confidence, right answers and predictions by confidence, over the final positions.
    """

    nll: NDArray[np.float32]
    bins: NDArray[np.float32]


@dataclass(frozen=True)
class LearningCurve:
    """What a learner did in E episodes of N examples, all learners on the same episodes.

    Args:
        learner: its name.
        n_parameters: number of its meta-trained parameters.
        state_size: numbers that its last prediction can read.
        metric: `"accuracy"`, or `"squared_error"` for regression.
        scores: (E, N) whether each prediction was right, or its squared error.
        likelihood: what its probabilities say; None for regression.
        task_id: (E,) task of each episode, −1 for one-off tasks.
        env_id: the environment that shows these episodes.
        tasks: the arguments of the distribution.
        data: the fingerprint of the base dataset, None for functions.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`.
        seed: seed of the episodes.
        wall_seconds: time that the learner's predictions took.
        device: where it computed.
        final_positions: how many of the last positions are the final ones.
    """

    learner: str
    n_parameters: int
    state_size: int
    metric: str
    scores: NDArray[np.bool_] | NDArray[np.float32]
    likelihood: Likelihood | None
    task_id: NDArray[np.int64]
    env_id: str
    tasks: dict[str, Any]
    data: str | None
    protocol: str
    seed: int
    wall_seconds: float
    device: str
    final_positions: int = LAST

    @property
    def mean(self) -> NDArray[np.float64]:
        """(N,) accuracy, or mean squared error, at each position."""
        return self.scores.mean(0, dtype=np.float64)

    @property
    def final_scores(self) -> NDArray[np.float64]:
        """(E,) accuracy, or mean squared error, of each episode over the final positions."""
        return self.scores[:, -self.final_positions :].mean(1, dtype=np.float64)

    @property
    def final(self) -> Interval:
        """Accuracy, or mean squared error, over the final positions."""
        return bootstrap(self.final_scores, self.task_id)

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Every score of the record; intervals from one resampling of tasks, then episodes."""
        parts = [self.scores, self.final_scores, self.scores.mean(1, dtype=np.float64)]
        if self.likelihood is not None:
            parts += [self.likelihood.nll[:, -self.final_positions :].mean(1, dtype=np.float64), self.likelihood.bins]
        values = columns(parts)
        means, resampled, n = values.mean(0), resampled_means(values, self.task_id), self.scores.shape[1]

        def part(first: int, size: int = 1) -> Interval:
            place = slice(first, first + size) if size > 1 else first
            return interval(means[place], resampled[:, place])

        found = _fields(self.metric, interval(means[:n], resampled[:, :n]))
        found |= _fields("final", part(n)) | _fields("area", part(n + 1))
        if self.likelihood is not None:
            found["nll"] = _rounded(self.likelihood.nll.mean(0, dtype=np.float64))
            found |= _fields("final_nll", part(n + 2))
            of_bins, all_bins = means[n + 3 :].reshape(3, BINS), resampled[:, n + 3 :].reshape(-1, 3, BINS)
            found |= _fields("ece", _ece(of_bins, all_bins))
            found["reliability"] = _reliability(self.likelihood.bins.sum(0, dtype=np.float64))
            found["examples_to"] = {str(level): _examples(means[:n], resampled[:, :n], level) for level in LEVELS}
        return found

    def record(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        environment = dict(self.tasks)
        if self.env_id != ARRAY_ID:
            environment.pop("dataset", None)  # the id says it
        whole = self.metric == ACCURACY
        return {
            "schema": SCHEMA,
            "status": "ok",
            "learner": self.learner,
            "n_parameters": self.n_parameters,
            "state_size": self.state_size,
            "env": self.env_id,
            "env_kwargs": environment,
            "protocol": self.protocol,
            "seed": self.seed,
            "episodes": len(self.scores),
            "metric": self.metric,
            **self.statistics,
            "final_positions": min(self.final_positions, self.scores.shape[1]),
            "final_scores": _sums(self.scores[:, -self.final_positions :], whole),
            "area_scores": _sums(self.scores, whole),
            "task_id": None if (self.task_id < 0).all() else self.task_id.tolist(),
            "data": self.data,
            "wall_seconds": round(self.wall_seconds, 3),
            "device": self.device,
            "versions": package_versions(),
            "commit": source_commit(),
        }


def _ece(bins: NDArray[np.float64], resampled: NDArray[np.float64]) -> Interval:
    """The calibration error; what the noise of resampling adds is taken off again, that of the episodes is not."""
    error, errors = calibration_error(bins), calibration_error(resampled)
    return interval(error, (errors - (errors.mean() - error)).clip(0, 1))


def _fields(name: str, values: Interval) -> dict[str, Any]:
    """A statistic and its interval, as three entries of a record."""
    return {name: _rounded(values.mean), f"{name}_low": _rounded(values.low), f"{name}_high": _rounded(values.high)}


def _rounded(values: NDArray[np.floating[Any]] | float) -> Any:
    return np.asarray(values, np.float64).round(5).tolist()


def _sums(scores: NDArray[Any], whole: bool) -> list[float]:
    """(E, n) → E sums: counts of right answers, or summed squared errors."""
    return scores.sum(1).tolist() if whole else _rounded(scores.sum(1, dtype=np.float64))


def _reliability(bins: NDArray[np.float64]) -> dict[str, list[Any]]:
    """Mean confidence and accuracy in each bin of confidence; None where it is empty."""
    confidence, right, count = bins
    means = [
        [round(float(total / number), 5) if number else None for total, number in zip(sums, count, strict=True)]
        for sums in (confidence, right)
    ]
    return {"confidence": means[0], "accuracy": means[1], "count": count.astype(int).tolist()}


def _examples(mean: NDArray[np.float64], resampled: NDArray[np.float64], level: float) -> list[int | None]:
    """[examples, low, high] until the level is reached; None where it never is."""
    needed = examples_to(resampled, level)
    # Order statistics: an interpolated quantile between a number and inf would be neither.
    low, high = np.quantile(needed, [0.025, 0.975], method="inverted_cdf")
    return [None if np.isinf(value) else int(value) for value in (examples_to(mean, level), low, high)]
