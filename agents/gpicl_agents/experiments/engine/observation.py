"""What a trial measures beside the usual evaluations: others during meta-training, what heads read, and ablations."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpicl_agents.evaluations import SEED, Evaluation, Summary, find_available, summarize
from gpicl_agents.experiments.engine.trial import EQUAL, PREVIOUS, SAME_CLASS, Heads, Inspection, Stage, Trial
from gpicl_agents.inspection import ablated, previous_mass, same_class_mass, uniform_same_class_mass
from gpicl_agents.training.evaluation import EVALUATION_SEED
from gpicl_agents.training.progress import Progress
from gpicl_envs.datasets.files import write_text
from gpicl_envs.evaluation.evaluate import evaluate
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.learners.base import evaluating
from gpicl_envs.tasks.base import EpisodeDistribution


class Observer:
    """Makes a trial's own measurements at every evaluation of its meta-training; `train` calls it after every step.

    Each is a file, so that a trial that resumes has those before.

    Args:
        trial: with `during`, `inspected` or neither.
        env_kwargs: of its meta-training, with the device.
        learner: that is trained.
        folder: for the files.
    """

    def __init__(self, trial: Trial, env_kwargs: dict[str, Any], learner: Any, folder: Path) -> None:
        self.learner, self.folder = learner, folder
        self.during, _ = find_available(trial.during, env_kwargs)
        self.inspected = _tasks(trial.inspected, env_kwargs)
        self.episodes = trial.inspected.episodes if trial.inspected else 0

    def __call__(self, progress: Progress) -> None:
        """Measure, if the step was one of evaluation."""
        if not progress.evaluated or not (self.during or self.inspected):
            return
        accuracy = {}
        for evaluation, tasks in self.during:
            options: dict[str, Any] = {"episodes": evaluation.episodes, "protocol": evaluation.protocol}
            curve = evaluate(self.learner, tasks, seed=EVALUATION_SEED, **options)
            accuracy[evaluation.name] = curve.mean.round(4).tolist()
        attention = measure_attention(self.learner, self.inspected, self.episodes) if self.inspected else {}
        write_text(self._path(progress.step), json.dumps(asdict(Stage(progress.step, accuracy, attention))))

    def complete(self, stages: Sequence[Stage]) -> list[Stage]:
        """Add what was measured to the stages of training; one at which the trial was killed is left out."""
        if not (self.during or self.inspected):
            return list(stages)
        found = []
        for stage in stages:
            if self._path(stage.step).exists():
                own = json.loads(self._path(stage.step).read_text(encoding="utf-8"))
                found.append(Stage(stage.step, stage.accuracy | own["accuracy"], _heads(own["attention"])))
        return found

    def _path(self, step: int) -> Path:
        return self.folder / "stages" / f"{step}.json"


def _tasks(evaluation: Evaluation | None, env_kwargs: dict[str, Any]) -> EpisodeDistribution | None:
    """What an evaluation is made on; None if there is none, or its dataset is missing."""
    found = [] if evaluation is None else find_available([evaluation], env_kwargs)[0]
    return found[0][1] if found else None


def _heads(attention: dict[str, Any]) -> dict[str, Heads]:
    return {name: [[Estimate(*head) for head in layer] for layer in layers] for name, layers in attention.items()}


@torch.no_grad()
def measure_attention(learner: Any, tasks: EpisodeDistribution, episodes: int) -> dict[str, Heads]:
    """Return the two masses of every head over the last ten positions, and what they are with equal attention."""
    shown = tasks.sample(episodes, EVALUATION_SEED)
    y = shown.y.to(learner.device)
    with evaluating(learner):
        weights = learner.attention(shown.x.to(learner.device), y)
    equal = uniform_same_class_mass(y)[:, None, None]
    masses = {SAME_CLASS: same_class_mass(weights, y), PREVIOUS: previous_mass(weights, y), EQUAL: equal}
    return {name: _estimates(mass[..., -LAST:].mean(3).double().cpu().numpy()) for name, mass in masses.items()}


def _estimates(values: NDArray[np.float64]) -> Heads:
    """(E, layers, H) → for each head, the mean with its interval."""
    interval = np.stack(mean_interval(values, bounds=(0.0, 1.0)), axis=-1).round(4)
    return [[Estimate(*head) for head in layer] for layer in interval.tolist()]


def ablate_heads(trial: Trial, env_kwargs: dict[str, Any], learner: Any) -> dict[str, Summary]:
    """Return the evaluation of the inspected tasks with all heads, without each, and without all those of a layer."""
    tasks, inspected = _tasks(trial.inspected, env_kwargs), trial.inspected
    if tasks is None or inspected is None:
        return {}

    def summary() -> Summary:
        return summarize(evaluate(learner, tasks, episodes=inspected.episodes, seed=SEED))

    results = {without(): summary()}
    for layer in range(learner.n_layers):
        heads = [(layer, head) for head in range(learner.n_heads)]
        for silenced in ([head] for head in heads):
            with ablated(learner, silenced):
                results[without(*silenced[0])] = summary()
        with ablated(learner, heads):
            results[without(layer)] = summary()
    return results


def without(layer: int | None = None, head: int | None = None) -> str:
    """The name of an ablation's result, such as `without L1H0`, or `without L1` for all heads of the layer."""
    if layer is None:
        return "all heads"
    return f"without L{layer}" + ("" if head is None else f"H{head}")


@torch.no_grad()
def inspect_episodes(trial: Trial, env_kwargs: dict[str, Any], learner: Any) -> list[Inspection]:
    """Return what all heads read in one episode of each evaluation whose dataset is available, with its images."""
    found = []
    for evaluation, tasks in find_available(trial.shown, env_kwargs)[0]:
        shown = tasks.sample(1, SEED)
        with evaluating(learner):
            weights = learner.attention(shown.x.to(learner.device), shown.y.to(learner.device))[0]
        inputs = np.stack([tasks.base_input(shown, 0, n) for n in range(tasks.length)])
        grey = (255 * (inputs - inputs.min()) / np.ptp(inputs)).round().astype(int)
        images = grey.reshape(len(grey), *_sides(grey[0])).tolist()
        labels, read = shown.y[0].tolist(), weights.double().cpu().numpy().round(3).tolist()
        found.append(Inspection(evaluation.name, images, labels, read))
    return found


def _sides(image: NDArray[Any]) -> tuple[int, int]:
    """The height and width at which an input is drawn: a vector is a square if it can be, else a row."""
    if image.ndim == 2:
        return image.shape[0], image.shape[1]
    side = math.isqrt(image.size)
    return (side, side) if side * side == image.size else (1, image.size)


def each(*functions: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return one function for `train` to call that calls them all."""

    def call(progress: Progress) -> None:
        for function in functions:
            function(progress)

    return call
