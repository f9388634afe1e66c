"""`Trial`: one cell of an experiment, plain data whose sha256 identifies it; and `TrialRecord`, what became of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal

from gpicl_agents.evaluations import Evaluation, Summary
from gpicl_envs.errors import shareable
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Estimate

SCHEMA = "gpicl-trial-2"
LATER = ("references", "only_seen", "during", "inspected", "shown")  # fields that came later; empty by default
SAME_CLASS, PREVIOUS = "same class", "previous example"  # masses of attention
EQUAL = "same class, with equal attention"
Heads = list[list[Estimate]]  # of each layer, of each head


@dataclass(frozen=True)
class Trial:
    """A learner, what it is meta-trained on, and what it is then evaluated on.

    Args:
        axes: what the experiment varies, with this trial's values; they name the trial.
        learner: as for `make_learner`.
        learner_kwargs: of its constructor.
        env_kwargs: arguments of the `TaskDistribution` of meta-training.
        train_kwargs: arguments of `TrainConfig`; None for a learner that is not trained.
        batch_size: B, episodes per step.
        evaluations: after meta-training; `train_kwargs` has those during it.
        references: name → learner, as for `make_learner`, to whose predictions of values the distance is measured too.
        during: others, made at each of the latter.
        inspected: episodes on which the attention of all heads is measured during meta-training, and each head is
            ablated after it.
        shown: of each of which the first episode is kept, with what all heads read in it.
    """

    axes: dict[str, Any]
    learner: str
    learner_kwargs: dict[str, Any]
    env_kwargs: dict[str, Any]
    train_kwargs: dict[str, Any] | None
    batch_size: int = 16
    evaluations: tuple[Evaluation, ...] = ()
    references: dict[str, str] = field(default_factory=dict)
    during: tuple[Evaluation, ...] = ()
    inspected: Evaluation | None = None
    shown: tuple[Evaluation, ...] = ()

    @property
    def name(self) -> str:
        """Such as `n_tasks=16, seed=0`."""
        return ", ".join(f"{axis}={value}" for axis, value in self.axes.items())

    @property
    def definition(self) -> str:
        """The sha256 of all of it; what came later is left out at its default, so that older records still fit."""
        plain = _without_later(asdict(self))
        plain["evaluations"] = [_without_later(evaluation) for evaluation in plain["evaluations"]]
        return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _without_later(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value or name not in LATER}


@dataclass(frozen=True)
class Stage:
    """The evaluations at one step of meta-training: name → accuracy at each position, and mass → that of each head."""

    step: int
    accuracy: dict[str, list[float]]
    attention: dict[str, Heads] = field(default_factory=dict)


@dataclass(frozen=True)
class Inspection:
    """What the heads of a trained model read in one episode.

    Args:
        name: of the evaluation.
        images: N base inputs as rows of pixels, from 0 to 255.
        labels: N.
        weights: (layers, H, T, T), of `Transformer.attention`.
    """

    name: str
    images: list[list[list[int]]]
    labels: list[int]
    weights: list[list[list[list[float]]]]


@dataclass(frozen=True)
class Training:
    """What a record keeps of meta-training; without any steps, the learner was not trained.

    Args:
        steps: optimizer steps.
        seconds: training time, evaluation not counted.
        plateau_end: the step at which the loss plateau ended; None if it did not.
        losses: (step, loss in nats), each the mean over the steps since the one before.
        history: the evaluations during training.
    """

    steps: int = 0
    seconds: float = 0.0
    plateau_end: int | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    history: list[Stage] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What became of a trial: results, or the error that made it fail; its texts are shareable, as those of `Record`.

    Args:
        experiment: its name.
        scale: `"small"` or `"paper"`.
        trial: its name; `axes` and `definition` are the trial's too.
        learner: the learner's own name.
        state_size: numbers that its last prediction can read.
        results: name of the evaluation → summary of the learning curve.
        missing: name of an evaluation → why it was not made, such as a dataset that is not available.
        inspections: of one episode each, if the trial looks inside the model.
    """

    schema: str = SCHEMA
    experiment: str
    scale: str
    trial: str
    axes: dict[str, Any]
    definition: str
    provenance: Provenance
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    learner: str = ""
    n_parameters: int = 0
    state_size: int = 0
    training: Training = Training()
    results: dict[str, Summary] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    inspections: list[Inspection] = field(default_factory=list)

    def __post_init__(self) -> None:
        error = None if self.error is None else shareable(self.error)
        missing = {name: shareable(reason) for name, reason in self.missing.items()}
        vars(self).update(error=error, missing=missing, learner=shareable(self.learner))


Records = Sequence[TrialRecord]
