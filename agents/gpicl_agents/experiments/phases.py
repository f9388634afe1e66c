"""Phases: memorising instances, memorising tasks, learning to learn.

How much does a Transformer's accuracy rise within an episode (over the last ten of 100 examples, compared with the
first), by the number of tasks that it was meta-trained on? The paper (Kirsch et al. 2022) finds instance memorisation
below about 2^7 tasks, task memorisation up to about 2^13, and general-purpose learning above about 2^14.

In the second series every task has a fixed set of 100 examples, which each episode shows in another order: only then
can single examples be remembered, and instance memorisation be distinguished from task memorisation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import GENERAL, INSTANCES, diagnose
from gpicl_agents.evaluations import NEW_EXAMPLES, new_examples, seen_tasks, unseen_dataset, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import axis_values, power_of_two, select, tasks_from
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.report.figures import PALETTE, panels

FIXED = 100  # examples per task in the second series
SERIES = {None: "all images", FIXED: f"{FIXED} fixed examples per task"}
DATASETS = ("FashionMNIST", "Digits")
# Exponents of two: numbers of tasks.
EXPONENTS: dict[str, dict[int | None, Sequence[int]]] = {
    "small": {None: (0, 2, 4, 6, 8, 12, 16, 24), FIXED: (0, 4, 6, 8, 12)},
    "paper": {None: range(25), FIXED: range(25)},
}


def trials(scale: str) -> list[Trial]:
    """Both series, every number of tasks with every seed."""
    return [
        _trial(2**exponent, seed, fixed, scale)
        for fixed, exponents in EXPONENTS[scale].items()
        for exponent in exponents
        for seed in range(settings.SEEDS[scale])
    ]


def _trial(n_tasks: int, seed: int, fixed: int | None, scale: str) -> Trial:
    axes: dict[str, Any] = {"n_tasks": n_tasks, "seed": seed}
    return settings.SETTINGS[scale].trial(
        axes | ({"examples_per_task": fixed} if fixed else {}),
        [seen_tasks(), new_examples(), unseen_tasks(), *map(unseen_dataset, DATASETS)],
        env_kwargs={"n_tasks": n_tasks, "task_seed": seed, "examples_per_task": fixed},
    )


def draw(records: Records, folder: Path) -> list[str]:
    """Gain against the number of tasks in both series, and the accuracy at the first example."""
    figure, (*gains, first) = panels(3)
    first_colours = iter(PALETTE)
    for axes, (fixed, title) in zip(gains, SERIES.items(), strict=True):
        rows = select(records, examples_per_task=fixed)
        for name, colour in zip((SEEN_TASK, NEW_EXAMPLES, UNSEEN_TASK, *DATASETS), PALETTE, strict=False):
            _draw_series(axes, rows, name, "gain", name, colour)
        axes.set(title=title, ylabel="gain in the episode (points)", ylim=(-10, 100))
        for name in (SEEN_TASK, NEW_EXAMPLES):
            _draw_series(first, rows, name, "first", f"{name} ({title}), first example", next(first_colours))
    first.set(title="known before the first label", ylabel="accuracy at the first example (%)", ylim=(0, 100))
    for axes in (*gains, first):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("meta-training tasks (dots: seeds, bars: 95 % intervals)")
    return [save_figure(figure, folder, "phases")]


def _draw_series(axes: Any, records: Records, evaluation: str, statistic: str, label: str, colour: str) -> None:
    """A statistic of an evaluation against the number of tasks: a dot for each trial, a line through the means."""
    records = [record for record in records if evaluation in record.results]
    means = {}
    for n_tasks in axis_values(records, "n_tasks"):
        estimates = [getattr(record.results[evaluation], statistic) for record in select(records, n_tasks=n_tasks)]
        means[n_tasks] = 100 * np.mean([estimate.mean for estimate in estimates])
        for estimate in estimates:
            draw_estimate(axes, n_tasks, estimate, color=colour)
    if means:
        axes.plot(list(means), list(means.values()), color=colour, linewidth=1.3, label=label)


def findings(records: Records) -> list[str]:
    """The diagnosis for every number of tasks, and where general-purpose learning begins."""
    lines = []
    for fixed, title in SERIES.items():
        series, title = select(records, examples_per_task=fixed), title[0].upper() + title[1:]
        for n_tasks in axis_values(series, "n_tasks"):
            rows = select(series, n_tasks=n_tasks)
            found = [diagnose(row.results) for row in rows]
            phases = " / ".join(dict.fromkeys(diagnosis.phase for diagnosis in found))
            finals = ", ".join(f"{100 * row.results[UNSEEN_TASK].final.mean:.0f} %" for row in rows)
            why = "".join(f"; {diagnosis.reasons[-1]}" for diagnosis in found if diagnosis.phase == INSTANCES)
            lines.append(
                f"{title}, {power_of_two(n_tasks)} tasks: **{phases}** (accuracy on unseen tasks: {finals}{why})"
            )
        if above := tasks_from(series, lambda record: diagnose(record.results).phase == GENERAL):
            lines.append(f"{title}: general-purpose learning in every run from {above} tasks on.")
    return lines


def result(record: TrialRecord) -> str:
    """First and final accuracy on seen and unseen tasks, and the diagnosis."""
    parts = [
        f"{name} {100 * record.results[name].first.mean:.0f} → {100 * record.results[name].final.mean:.0f} %"
        for name in (SEEN_TASK, UNSEEN_TASK)
    ]
    return f"{', '.join(parts)}: {diagnose(record.results).phase}"
