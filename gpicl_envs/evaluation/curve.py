"""`LearningCurve`: the scores of a learner in many episodes, with intervals, and the record of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpicl_envs.datasets import ARRAY_ID
from gpicl_envs.evaluation.intervals import METHOD, Interval, accuracy_interval, few_note, mean_interval
from gpicl_envs.evaluation.metrics import (
    BINS,
    LAST,
    Return,
    calibration_error,
    columns,
    examples_to,
    percentile_interval,
    resampled_means,
    return_metrics,
)
from gpicl_envs.evaluation.provenance import provenance
from gpicl_envs.evaluation.records import Band, Estimate, Metric, Reliability, ScoredRecord
from gpicl_envs.tasks.base import RETURN

LEVELS = (0.5, 0.7)
DIGITS = 5  # kept of each number in a record


class Likelihood(NamedTuple):
    """How well the predicted probabilities fit the labels of E episodes.

    Args:
        nll: (E, N) negative log-likelihood of each label, in nats.
        bins: (E, 3, BINS) sums of confidence, correct predictions and predictions, by confidence, over the final
            positions.
    """

    nll: NDArray[np.float32]
    bins: NDArray[np.float32]


@dataclass(frozen=True)
class LearningCurve:
    """The scores of a learner in E episodes of N examples.

    Arguments that are not listed here are fields of `ScoredRecord`.

    Args:
        scores: (E, N) whether each prediction was correct, or its squared error.
        likelihood: how well its probabilities fit the labels; None for regression.
        task_id: (E,) task of each episode, −1 for one-off tasks.
        env_id: the environment that shows these episodes.
        tasks: the arguments of the distribution.
        device: where the learner computed.
        distances: reference learner → (E,) mean squared distance to its predictions over all positions (regression).
    """

    learner: str
    n_parameters: int
    state_size: int
    metric: Metric
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
    flops_per_prediction: float | None = None
    final_positions: int = LAST
    distances: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

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
        return self.interval(self.final_scores, min(self.final_positions, self.scores.shape[1]))

    @property
    def returned(self) -> Return | None:
        """Forgetting and relearning, if the first task returns and shows as many examples as are final ones."""
        if self.tasks.get("drift") != RETURN:
            return None
        every, n = int(self.tasks["drift_every"]), self.final_positions
        if self.scores.shape[1] < 2 * every + min(n, every):
            return None
        return return_metrics(self.scores, every, self.task_id, n=n)

    def interval(self, scores: NDArray[Any], positions: int = 1) -> Interval:
        """Return the mean over the episodes of accuracies, or mean squared errors, with its 95 % interval.

        Args:
            scores: (E, ...) of each episode.
            positions: how many positions each is the mean of.
        """
        if self.metric == "accuracy":
            return accuracy_interval(scores, self.task_id, positions=positions)
        return mean_interval(scores, self.task_id, bounds=(0.0, np.inf))

    def record(self, command: str = "") -> ScoredRecord:
        """Return the result as a record with rounded numbers, and with the command that the user typed.

        Raises:
            ValueError: there is one episode of squared errors alone, which has no interval.
        """
        if self.metric == "squared_error" and len(self.scores) == 1:
            raise ValueError("One episode of squared errors has no interval: evaluate at least 2 episodes.")
        env_kwargs = dict(self.tasks)
        if self.env_id != ARRAY_ID:
            env_kwargs.pop("dataset", None)  # the id names it
        return ScoredRecord(
            learner=self.learner,
            env=self.env_id,
            env_kwargs=env_kwargs,
            data=self.data,
            protocol=self.protocol,
            seed=self.seed,
            episodes=len(self.scores),
            provenance=provenance(self.device, command),
            metric=self.metric,
            n_parameters=self.n_parameters,
            state_size=self.state_size,
            final_positions=min(self.final_positions, self.scores.shape[1]),
            final_scores=self._sums(self.scores[:, -self.final_positions :]),
            area_scores=self._sums(self.scores),
            task_id=None if (self.task_id < 0).all() else self.task_id.tolist(),
            wall_seconds=round(self.wall_seconds, 3),
            flops_per_prediction=None if self.flops_per_prediction is None else round(self.flops_per_prediction, 1),
            interval_method=METHOD,
            interval_note=few_note(self.task_id, len(self.scores)),
            **self._statistics(),
        )

    def _sums(self, scores: NDArray[Any]) -> list[float]:
        """(E, n) → E numbers of correct predictions, or summed squared errors."""
        return scores.sum(1).tolist() if self.metric == "accuracy" else _rounded(scores.sum(1, dtype=np.float64))

    def _statistics(self) -> dict[str, Any]:
        """The record's estimates, with their intervals."""
        n = self.scores.shape[1]
        found: dict[str, Any] = {
            "curve": Band(*map(_rounded, self.interval(self.scores))),
            "final": _estimate(self.final),
            "area": _estimate(self.interval(self.scores.mean(1, dtype=np.float64), n)),
        }
        if returned := self.returned:
            found |= {"forgetting": _estimate(returned.forgetting), "relearning": _estimate(returned.relearning)}
        if self.likelihood is not None:
            return found | self._likelihoods(self.likelihood)
        distances = {name: _estimate(self.interval(values)) for name, values in self.distances.items()}
        return found | {"distances": distances or None}

    def _likelihoods(self, likelihood: Likelihood) -> dict[str, Any]:
        """The estimates that only a classifier has; one episode alone has no interval of those that are no fractions.

        The calibration error and the number of examples are no means: their intervals are of the bootstrap.
        """
        found: dict[str, Any] = {
            "nll": _rounded(likelihood.nll.mean(0, dtype=np.float64)),
            "reliability": _reliability(likelihood.bins.sum(0, dtype=np.float64)),
        }
        if len(self.scores) == 1:
            return found
        values, n = columns([self.scores, likelihood.bins]), self.scores.shape[1]
        means, resampled = values.mean(0), resampled_means(values, self.task_id)
        of_bins, all_bins = means[n:].reshape(3, BINS), resampled[:, n:].reshape(-1, 3, BINS)
        final_nll = likelihood.nll[:, -self.final_positions :].mean(1, dtype=np.float64)
        return found | {
            "final_nll": _estimate(mean_interval(final_nll, self.task_id, bounds=(0.0, np.inf))),
            "ece": _estimate(_calibration_error(of_bins, all_bins)),
            "examples_to": {str(level): _examples(means[:n], resampled[:, :n], level) for level in LEVELS},
        }


def _rounded(values: ArrayLike) -> Any:
    return np.asarray(values, np.float64).round(DIGITS).tolist()


def _estimate(values: Interval) -> Estimate:
    return Estimate(*map(_rounded, values))


def _calibration_error(bins: NDArray[np.float64], resampled: NDArray[np.float64]) -> Interval:
    """The error, with an interval corrected for the bias that resampling itself adds."""
    error, errors = calibration_error(bins), calibration_error(resampled)
    return percentile_interval(error, (errors - (errors.mean() - error)).clip(0, 1))


def _reliability(bins: NDArray[np.float64]) -> Reliability:
    """(3, BINS) sums of confidence, correct predictions and predictions → their means."""
    confidence, correct, count = bins

    def mean(sums: NDArray[np.float64]) -> list[float | None]:
        return [round(float(total / n), DIGITS) if n else None for total, n in zip(sums, count, strict=True)]

    return Reliability(mean(confidence), mean(correct), count.astype(int).tolist())


def _examples(mean: NDArray[np.float64], resampled: NDArray[np.float64], level: float) -> list[int | None]:
    """[examples, low, high] until the level is reached; None if it never is."""
    needed = examples_to(resampled, level)
    # Order statistics: an interpolated quantile between a number and inf would be neither.
    low, high = np.quantile(needed, [0.025, 0.975], method="inverted_cdf")
    return [None if np.isinf(value) else int(value) for value in (examples_to(mean, level), low, high)]
