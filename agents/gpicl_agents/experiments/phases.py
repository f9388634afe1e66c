"""Phases: what is learned depends on the number of meta-training tasks (Kirsch et al. 2022, the poster's verdicts).

The second series gives every task a fixed set of 100 examples, of which each episode shows all in another order: only
then can examples be remembered one by one, and instance memorisation be told from task memorisation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import GENERAL, INSTANCES, NEW_EXAMPLES, SEEN, UNSEEN, diagnose
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import draw_series, keep
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels

FIXED = 100  # examples per task in the second series
DATASETS = ("FashionMNIST", "Digits")


def _trial(exponent: int, seed: int, fixed: int | None, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    axes: dict[str, Any] = {"n_tasks": 2**exponent, "seed": seed} | ({"examples_per_task": fixed} if fixed else {})
    return Trial(
        axes=axes,
        learner="transformer",
        arguments=setting.transformer | {"seed": seed},
        tasks=setting.tasks | {"n_tasks": 2**exponent, "task_seed": seed, "examples_per_task": fixed},
        training=setting.training | {"seed": seed},
        batch_size=setting.batch_size,
        questions=(
            settings.seen(),
            settings.new_examples(),
            settings.unseen(),
            *(settings.unseen_dataset(name) for name in DATASETS),
        ),
    )


def small() -> list[Trial]:
    """Eight numbers of tasks, with fixed examples five; two seeds."""
    series = ((None, (0, 2, 4, 6, 8, 12, 16, 24)), (FIXED, (0, 4, 6, 8, 12)))
    return [_trial(k, seed, fixed, "small") for fixed, exponents in series for k in exponents for seed in (0, 1)]


def paper() -> list[Trial]:
    """2^0 … 2^24, three seeds, both series."""
    return [_trial(k, seed, fixed, "paper") for fixed in (None, FIXED) for k in range(25) for seed in range(3)]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Gain against the number of tasks in both series, and the accuracy at the first example."""
    figure, (whole, fixed, first) = panels(3)
    for axes, series, title in ((whole, None, "all images"), (fixed, FIXED, f"{FIXED} fixed examples a task")):
        chosen = [record for record in records if record["axes"].get("examples_per_task") == series]
        for name, colour in zip((SEEN, NEW_EXAMPLES, UNSEEN, *DATASETS), PALETTE, strict=False):
            draw_series(axes, chosen, "n_tasks", name, "gain", name, colour)
        axes.set(title=title, ylabel="gain in the episode (points)", ylim=(-10, 100))
    colours = iter(PALETTE)
    for series, mark in ((None, "all images"), (FIXED, f"{FIXED} fixed")):
        chosen = [record for record in records if record["axes"].get("examples_per_task") == series]
        for name in (SEEN, NEW_EXAMPLES):
            draw_series(first, chosen, "n_tasks", name, "first", f"{name} ({mark}), first example", next(colours))
    first.set(title="known before the first label", ylabel="accuracy at example 1 (%)", ylim=(0, 100))
    for axes in (whole, fixed, first):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("meta-training tasks (dots: seeds, bars: 95 % intervals)")
    return keep(figure, folder, "phases")


def findings(records: Sequence[Record]) -> list[str]:
    """The verdict for every number of tasks, and where generalisation begins."""
    lines = []
    for series in (None, FIXED):
        chosen = [record for record in records if record["axes"].get("examples_per_task") == series]
        which = "All images" if series is None else f"{series} fixed examples a task"
        for n_tasks in sorted({record["axes"]["n_tasks"] for record in chosen}):
            rows = [record for record in chosen if record["axes"]["n_tasks"] == n_tasks]
            verdicts = [diagnose(row["answers"]) for row in rows]
            finals = ", ".join(f"{100 * row['answers'][UNSEEN]['final'][0]:.0f} %" for row in rows)
            said = " / ".join(dict.fromkeys(found.phase for found in verdicts))
            why = "".join(f"; {found.reasons[-1]}" for found in verdicts if found.phase == INSTANCES)
            lines.append(
                f"{which}, 2^{int(np.log2(n_tasks))} tasks: **{said}** (unseen tasks, last ten: {finals}{why})"
            )
        others = [row["axes"]["n_tasks"] for row in chosen if diagnose(row["answers"]).phase != GENERAL]
        above = [row["axes"]["n_tasks"] for row in chosen if row["axes"]["n_tasks"] > max(others, default=0)]
        if above:
            lines.append(f"{which}: general-purpose learning in every run from 2^{int(np.log2(min(above)))} tasks on.")
    return lines


def line(record: Record) -> str:
    """First and last accuracy on seen and unseen tasks, and the verdict."""
    parts = []
    for name in (SEEN, UNSEEN):
        answer = record["answers"][name]
        parts.append(f"{name} {100 * answer['first'][0]:.0f} → {100 * answer['final'][0]:.0f} %")
    return f"{', '.join(parts)}: {diagnose(record['answers']).phase}"


EXPERIMENT = Experiment(
    name="phases",
    title="Phases: memorising instances, memorising tasks, learning to learn",
    question=(
        "How much better does a Transformer become inside an episode (accuracy over the last ten of 100 examples minus "
        "that at the first), by the number of tasks that it was meta-trained on? The paper finds instance memorisation "
        "below about 2^7 tasks, task memorisation up to about 2^13, and general-purpose learning above about 2^14."
    ),
    scales={"small": small, "paper": paper},
    draw=draw,
    findings=findings,
    line=line,
)
