"""Records: the result of one learner on one environment, as a line of JSON that outlives the process that made it."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gpicl_envs.errors import check_choice, shareable
from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.evaluation.protocol import PROTOCOLS
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.schema import as_read

SCHEMA = "gpicl-record-3"
ORACLE = "oracle"
ROUNDING = 1e-4

Metric = Literal["accuracy", "squared_error"]


class Estimate(NamedTuple):
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


class Band(NamedTuple):
    """(N,) means, one for each position of the episode, and the ends of their 95 % intervals."""

    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class SuiteClaim:
    """The cell of a suite that a record was made on: names of both, and the sha256 of the cell's definition."""

    name: str
    cell: str
    definition: str


@dataclass(frozen=True)
class Reliability:
    """(BINS,) mean confidence and accuracy (None if empty) and number of the predictions in each bin of confidence."""

    confidence: list[float | None]
    accuracy: list[float | None]
    count: list[int]


@dataclass(frozen=True, kw_only=True)
class Record:
    """The fields that every record has: which learner was evaluated, and on which episodes.

    Its texts are made shareable: line breaks and control characters become escapes, what looks like a secret becomes
    `***`, and the home folder `~`, which `make_learner` and `make_tasks` understand.

    Args:
        schema: the version of this format.
        learner: its name in tables.
        spec: the text that made it, as for `make_learner`; empty if Python did.
        fingerprint: sha256 of the learner's spec, code and weights, if it is known.
        env: environment id.
        env_kwargs: arguments of the distribution of episodes, except those that the id implies.
        data: fingerprint of the base dataset; None for functions.
        protocol: `"seen-task"`, `"unseen-task"` or `"unseen-dataset"`.
        seed: of the episodes.
        episodes: E, how many.
        suite: the suite's cell that this is a result of, if it is one.
        provenance: where and when the record was made.
    """

    schema: str = SCHEMA
    learner: str
    spec: str = ""
    fingerprint: str | None = None
    env: str
    env_kwargs: dict[str, Any]
    data: str | None = None
    protocol: str
    seed: int
    episodes: int
    suite: SuiteClaim | None = None
    provenance: Provenance

    def __post_init__(self) -> None:
        for name, value in vars(self).items():  # what is printed, drawn and put into pages is harmless everywhere
            if isinstance(value, str):
                object.__setattr__(self, name, shareable(value))
        given = {name: shareable(value) if isinstance(value, str) else value for name, value in self.env_kwargs.items()}
        object.__setattr__(self, "env_kwargs", given)
        check_least(self, 1, "episodes")
        check_least(self, 0, "seed")
        check_choice("protocol", self.protocol, tuple(PROTOCOLS))

    @property
    def knows_the_task(self) -> bool:
        """Whether this is the oracle's; a learner of the same name does not see the hidden task."""
        return self.spec == ORACLE

    @property
    def goodness(self) -> float:
        """The mean that learners are ranked by, larger for better; −inf without a score."""
        return -math.inf

    @property
    def scores(self) -> list[float]:
        """(E,) by which two records of a learner of unknown code are compared; none without a score."""
        return []

    @property
    def size(self) -> tuple[Any, ...]:
        """The sizes that a learner is made for: with others, one of the same name has other weights."""
        return self.env_kwargs.get("n_features"), self.env_kwargs.get("n_classes")

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that defines the episodes."""
        names = ("env", "protocol", "seed", "episodes", "data")
        suite = {"suite": self.suite.name, "definition": self.suite.definition} if self.suite else {}
        return {name: getattr(self, name) for name in names} | self.env_kwargs | suite


@dataclass(frozen=True, kw_only=True)
class ScoredRecord(Record):
    """What a learner scored in E episodes of N examples.

    Args:
        metric: `"accuracy"`, a fraction, or `"squared_error"`, for regression.
        n_parameters: number of its meta-trained parameters.
        state_size: numbers that its last prediction can read.
        curve: the metric at each position.
        final: the metric over the final positions.
        area: the metric over all positions.
        final_positions: how many of the last positions are the final ones.
        final_scores: (E,) number of correct predictions among the final ones of each episode, or their summed error.
        area_scores: (E,) the same over all positions.
        task_id: (E,) task of each episode, −1 for one-off tasks; None if all are one-off.
        wall_seconds: time that the predictions took.
        flops_per_prediction: floating-point operations, as `flops.py` counts them; None for unknown, as in records made
            before this field existed.
        nll: (N,) negative log-likelihood of the label at each position, in nats. None for regression, as the next four.
        distances: reference learner such as `"optimal-ridge"` → mean squared distance of predictions to its own, over
            all positions; for regression.
        interval_method: of the means; those of `ece` and `examples_to` are of the bootstrap in all records.
        forgetting: with `drift="return"`, accuracy (or error) lost on the first task when it returns; None without.
        relearning: how much better it goes then than when the task was new; see `metrics.Return`.
        interval_note: why the intervals are less sure than they say, if there are too few episodes or tasks.
        final_nll: the same over the final positions; None, as `ece` and `examples_to`, for one episode alone.
        ece: expected calibration error over the final positions, a fraction.
        reliability: accuracy against confidence.
        examples_to: accuracy such as `"0.5"` → [examples seen before it is reached, and the ends of the 95 % interval];
            None for never.

    Raises:
        ValueError: the numbers contradict each other.
    """

    status: Literal["ok"] = "ok"
    metric: Metric
    n_parameters: int
    state_size: int
    curve: Band
    final: Estimate
    area: Estimate
    final_positions: int
    final_scores: list[float]
    area_scores: list[float]
    task_id: list[int] | None = None
    wall_seconds: float
    flops_per_prediction: float | None = None
    nll: list[float] | None = None
    final_nll: Estimate | None = None
    ece: Estimate | None = None
    reliability: Reliability | None = None
    examples_to: dict[str, list[int | None]] | None = None
    distances: dict[str, Estimate] | None = None
    forgetting: Estimate | None = None
    relearning: Estimate | None = None
    interval_method: str = "hierarchical bootstrap"  # of records made before this field existed
    interval_note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 1, "final_positions")
        check_least(self, 0, "n_parameters", "state_size", "wall_seconds", "flops_per_prediction")
        check_lengths(self, self.episodes, "episodes", "final_scores", "area_scores", "task_id")
        length = len(self.curve.mean)
        if length < self.final_positions:
            raise ValueError(f"curve holds {length} positions, but final_positions={self.final_positions}")
        check_lengths(self.curve, length, "positions", "mean", "low", "high")
        check_lengths(self, length, "positions", "nll")
        if self.reliability is not None:
            check_lengths(self.reliability, len(self.reliability.count), "bins", "confidence", "accuracy")
        for level, numbers in (self.examples_to or {}).items():
            if len(numbers) != 3:
                raise ValueError(f"examples_to.{level} holds {len(numbers)} numbers of 3: a number, low and high")
        for name, positions in (("final", self.final_positions), ("area", length)):
            mean = sum(getattr(self, f"{name}_scores")) / (self.episodes * positions)
            given = getattr(self, name).mean
            if math.isfinite(given) and not abs(mean - given) <= ROUNDING * max(1.0, abs(mean)):
                raise ValueError(f"{name}={given}, but the mean of its {name}_scores is {mean:.5f}")

    @property
    def larger_is_better(self) -> bool:
        """Whether the metric is an accuracy, not a squared error."""
        return self.metric == "accuracy"

    @property
    def goodness(self) -> float:
        """The mean of the final metric, larger for better."""
        return self.final.mean if self.larger_is_better else -self.final.mean

    @property
    def scores(self) -> list[float]:
        """The sums of the final metric."""
        return self.final_scores

    @property
    def definition(self) -> dict[str, Any]:
        """Everything that defines the episodes, and which positions are scored."""
        return super().definition | {"final_positions": self.final_positions}

    @property
    def seconds_per_prediction(self) -> float:
        """The time that a prediction took, of all episodes and positions together."""
        return self.wall_seconds / (self.episodes * len(self.curve.mean))


@dataclass(frozen=True, kw_only=True)
class FailedRecord(Record):
    """A learner without a score; `error` is the reason, in one line."""

    status: Literal["failed"] = "failed"
    error: str


def check_least(record: Any, least: int, *names: str) -> None:
    """Raise ValueError for a field whose value is below `least`."""
    for name in names:
        value = getattr(record, name)
        if value is not None and value < least:
            raise ValueError(f"{name}={value}, but it is at least {least}")


def check_lengths(record: Any, length: int, unit: str, *names: str) -> None:
    """Raise ValueError for a list, if it is there, that holds another number of values."""
    for name in names:
        found = getattr(record, name)
        if found is not None and len(found) != length:
            raise ValueError(f"{name} holds {len(found)} {unit} of {length}")


def valid_or_failed(record: ScoredRecord) -> Record:
    """Return a record as a file gives it back; one that a file cannot keep becomes a failed one, with the reason."""
    try:
        kept: Record = as_read(record)
        return kept
    except ValueError as error:
        shared = {field.name: getattr(record, field.name) for field in fields(Record)}
        return FailedRecord(**shared, error=f"the result is not valid: {error}")


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """Return the records of a file, at least one.

    Raises:
        ValueError: there is no such file, it is empty, or a line is not a record; the message names the line.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no record file {path}. `gpicl evaluate --out {path}` writes one.")
    records = read_jsonl(path, ScoredRecord | FailedRecord, SCHEMA)
    if not records:
        raise ValueError(f"{path} holds no records: it is empty.")
    return records


def distinct_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return spec → name for the field `learner`: the learner's name, followed by the spec if several share it."""
    own = list(names.values())
    return {spec: name if own.count(name) == 1 else f"{name} ({spec})" for spec, name in names.items()}
