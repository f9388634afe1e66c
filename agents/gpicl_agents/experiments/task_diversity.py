"""Task diversity: a finite set of tasks, or all of them.

Linear functions, D = 8, noise of variance 0.25, episodes of 16 examples. Two estimators are optimal, each for one
distribution of tasks: `dmmse`, the posterior mean over the finite set of meta-training, and ridge regression, the
posterior mean over all linear functions with Gaussian weights. Which of them does a meta-trained model become, by the
number of tasks of its meta-training? Shown is the mean squared distance of its predictions to those of both, divided by
D, on the tasks of its meta-training and on new ones.

Raventós et al. (2023, arXiv:2306.15063) find a threshold: with few tasks a Transformer becomes dMMSE, and fails on new
tasks; with more tasks than the threshold it becomes ridge regression, although dMMSE would be better in meta-training.
Here, the threshold is the number of tasks at which the distance to ridge falls below that to dMMSE on new tasks,
interpolated between the numbers that were tried. The paper trains a Transformer of eight layers, on separate tokens
for x and y, for 500,000 steps of 256 episodes. At small scale it is an LSTM, trained for 4,500 steps of 64 episodes on
one CPU core: in that time Transformers and gated DeltaNet come near ridge even with 2^5 tasks (docs/research-log.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.evaluations import seen_tasks, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import axis_values, power_of_two, seed_interval, select
from gpicl_agents.experiments.engine.plots import save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import PALETTE, panels

DMMSE, RIDGE = "dmmse", "optimal-ridge"
FEW, MANY = 2**6, 2**10  # tasks: dMMSE is expected below, ridge above
EXPONENTS: dict[str, Sequence[int]] = {"small": (1, 3, 5, 6, 7, 8, 9, 10, 12, 14), "paper": range(1, 15)}
PROBLEM = settings.FUNCTIONS["small"].env_kwargs  # of both scales
D, NOISE = PROBLEM["n_features"], PROBLEM["noise"]
LSTM: dict[str, Any] = {
    "learner": "lstm",
    "learner_kwargs": {"width": 128},
    "train_kwargs": {"steps": 4500, "learning_rate": 5e-3, "checkpoint_every": 1500},
}
LEARNERS: dict[str, dict[str, Any]] = {"small": LSTM, "paper": {"learner": "transformer"}}


def trials(scale: str) -> list[Trial]:
    """Every number of tasks with every seed; then dMMSE itself, whose distance to ridge is the most to be bridged."""
    numbers = [2**exponent for exponent in EXPONENTS[scale]]
    found = [_trial(n, seed, scale) for n in reversed(numbers) for seed in range(settings.SEEDS[scale])]
    for n in numbers:
        axes, env_kwargs = {"learner": DMMSE, "n_tasks": n, "seed": 0}, PROBLEM | {"n_tasks": n, "task_seed": 0}
        kwargs = {"n_tasks": n, "task_seed": 0, "noise": NOISE}
        found.append(Trial(axes, DMMSE, kwargs, env_kwargs, None, evaluations=(seen_tasks(), unseen_tasks())))
    return found


def _trial(n_tasks: int, seed: int, scale: str) -> Trial:
    return settings.FUNCTIONS[scale].trial(
        {"learner": LEARNERS[scale]["learner"], "n_tasks": n_tasks, "seed": seed},
        [seen_tasks(), unseen_tasks()],
        env_kwargs={"n_tasks": n_tasks, "task_seed": seed},
        references={DMMSE: f"{DMMSE},n_tasks={n_tasks},task_seed={seed},noise={NOISE}"},
        **LEARNERS[scale],
    )


def _trained(records: Records) -> list[TrialRecord]:
    return [record for record in records if record.axes["learner"] != DMMSE]


def _distance(record: TrialRecord, evaluation: str, reference: str) -> Estimate:
    """The mean squared distance to a reference, divided by D."""
    return Estimate(*(value / D for value in record.results[evaluation].distances[reference]))


def _nearer_to_ridge(record: TrialRecord) -> bool:
    return _distance(record, UNSEEN_TASK, RIDGE).mean < _distance(record, UNSEEN_TASK, DMMSE).mean


def draw(records: Records, folder: Path) -> list[str]:
    """Distances to both estimators against the number of tasks, on seen and new tasks, and what is explained."""
    figure, (*distances, explained) = panels(3)
    trained, exact = _trained(records), select(records, learner=DMMSE)
    for axes, evaluation, title in zip(distances, (SEEN_TASK, UNSEEN_TASK), ("seen tasks", "new tasks"), strict=True):
        for reference, colour in ((DMMSE, PALETTE[1]), (RIDGE, PALETTE[0])):
            values = {record.trial: _distance(record, evaluation, reference) for record in trained}
            _draw_line(axes, trained, values, f"model to {reference}", colour)
        between = {record.trial: _distance(record, evaluation, RIDGE) for record in exact}
        _draw_line(axes, exact, between, f"{DMMSE} to {RIDGE}", PALETTE[9], linestyle=":")
        axes.set(title=title, yscale="log", ylabel="squared distance / D")
    for evaluation, colour in ((SEEN_TASK, PALETTE[2]), (UNSEEN_TASK, PALETTE[4])):
        for rows, name, dash in ((trained, "model", "-"), (exact, DMMSE, ":")):
            values = {row.trial: row.results[evaluation].final for row in rows}
            _draw_line(explained, rows, values, f"{name}, {evaluation}", colour, linestyle=dash)
    explained.set(title="last ten of 16 examples", ylabel="mean square explained (fraction)", ylim=(-0.2, 1))
    if crossing := _threshold(trained):
        distances[1].axvspan(*(2.0**end for end in crossing[1:]), color="#888888", alpha=0.15, label="threshold")
    for axes in (*distances, explained):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("meta-training tasks (dots: seeds, bars: 95 % intervals)")
    return [save_figure(figure, folder, "task-diversity")]


def _draw_line(
    axes: Any, records: Records, values: dict[str, Estimate], label: str, colour: str, linestyle: str = "-"
) -> None:
    """A dot with its interval for each trial, and a line through the means over seeds."""
    means = []
    for n_tasks in axis_values(records, "n_tasks"):
        found = [values[record.trial] for record in select(records, n_tasks=n_tasks)]
        means.append(np.mean([estimate.mean for estimate in found]))
        for mean, low, high in found:
            error = [[mean - low], [high - mean]]
            axes.errorbar(n_tasks, mean, error, fmt="o", markersize=3, capsize=2, elinewidth=1, color=colour)
    if means:
        axes.plot(axis_values(records, "n_tasks"), means, color=colour, linewidth=1.3, linestyle=linestyle, label=label)


def findings(records: Records) -> list[str]:
    """For each number of tasks, what the model is nearer to on new tasks; then where this changes."""
    trained, lines = _trained(records), []
    if not trained:
        return []
    for n_tasks in axis_values(trained, "n_tasks"):
        rows = select(trained, n_tasks=n_tasks)
        pairs = [
            " / ".join(f"{_distance(row, UNSEEN_TASK, reference).mean:.3f}" for row in rows)
            for reference in (DMMSE, RIDGE)
        ]
        nearer = " / ".join(dict.fromkeys(RIDGE if _nearer_to_ridge(row) else DMMSE for row in rows))
        lines.append(
            f"{power_of_two(n_tasks)} tasks, on new ones: nearer to **{nearer}** (squared distance / D, one value per "
            f"seed: to {DMMSE} {pairs[0]}, to {RIDGE} {pairs[1]})"
        )
    few = [row for row in trained if row.axes["n_tasks"] < FEW]
    many = [row for row in trained if row.axes["n_tasks"] > MANY]
    lines.append(
        f"On new tasks, below {power_of_two(FEW)} tasks {sum(not _nearer_to_ridge(row) for row in few)} of {len(few)} "
        f"runs are nearer to {DMMSE}; above {power_of_two(MANY)}, {sum(map(_nearer_to_ridge, many))} of {len(many)} "
        f"are nearer to {RIDGE}."
    )
    return [*lines, _about_threshold(trained)]


def _about_threshold(trained: Records) -> str:
    crossings = {seed: _crossing(select(trained, seed=seed)) for seed in axis_values(trained, "seed")}
    each = ", ".join("none" if found is None else f"2^{found:.1f}" for found in crossings.values())
    if (interval := _threshold(trained)) is None:
        return f"Threshold, one value per seed: {each}."
    mean, low, high = interval
    return (
        f"Threshold, one value per seed: {each}; mean 2^{mean:.1f} [2^{low:.1f}, 2^{high:.1f}] (95 %, Student's t over "
        f"{len(crossings)} seeds, of the exponents)."
    )


def _threshold(trained: Records) -> Estimate | None:
    """The exponent of the threshold with its interval over seeds; None if a seed has none, or there is only one."""
    found = [_crossing(select(trained, seed=seed)) for seed in axis_values(trained, "seed")]
    exponents = [value for value in found if value is not None]
    return seed_interval(exponents) if len(exponents) == len(found) > 1 else None


def _crossing(records: Records) -> float | None:
    """log2 of the number of tasks above which all runs of a seed are nearer to ridge on new tasks, interpolated.

    None if there is no run on one of the two sides.
    """
    rows = sorted(records, key=lambda row: row.axes["n_tasks"])
    ratio = [np.log(_distance(row, UNSEEN_TASK, RIDGE).mean / _distance(row, UNSEEN_TASK, DMMSE).mean) for row in rows]
    last = max((i for i, value in enumerate(ratio) if value >= 0), default=-1)
    if last in (-1, len(rows) - 1):
        return None
    low, high = (np.log2(rows[i].axes["n_tasks"]) for i in (last, last + 1))
    return float(low + (high - low) * ratio[last] / (ratio[last] - ratio[last + 1]))


def result(record: TrialRecord) -> str:
    """The distances to both estimators on seen and on new tasks."""
    parts = []
    for name in (SEEN_TASK, UNSEEN_TASK):
        known = [reference for reference in (DMMSE, RIDGE) if reference in record.results[name].distances]
        parts.append(f"{name}: " + ", ".join(f"{_distance(record, name, each).mean:.3f} to {each}" for each in known))
    return "; ".join(parts)
