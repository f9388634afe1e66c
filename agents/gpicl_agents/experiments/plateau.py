"""Plateau: how long nothing is learned at first, against batch size, number of tasks, Adam's ε, and the form of tokens.

A plateau ends at the step at which accuracy over the last ten positions exceeds that at the first by ten points, in
running means over about twenty steps (`gpicl_agents.watch.Plateau`). A run that is still on it when the budget ends is
counted as one that lasts longer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.experiments import standard
from gpicl_agents.experiments.experiment import Experiment, Record
from gpicl_agents.experiments.power_law import PowerLaw, fit_power_law
from gpicl_agents.experiments.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels, save

BATCH, TASKS, EPS, TOKENS = "batch size", "tasks", "Adam's ε", "tokens"
GRID: dict[str, tuple[Any, ...]] = {
    BATCH: (4, 8, 16, 32, 64),
    TASKS: (2**5, 2**6, 2**8, 2**12, 2**24),
    EPS: (1e-12, 1e-8, 1e-4, 1e-3, 1e-2),
    TOKENS: ("paired", "query", "paper"),
}
SMALL_BUDGET, PAPER_BUDGET = 1500, 50_000  # steps


def _trial(series: str, value: Any, seed: int, scale: str) -> Trial:
    small = scale == "small"
    training = standard.SMALL_TRAINING if small else standard.PAPER_TRAINING
    learner = standard.SMALL_TRANSFORMER if small else standard.PAPER_TRANSFORMER
    tasks = standard.SMALL_TASKS if small else standard.PAPER_TASKS
    until = {"steps": SMALL_BUDGET if small else PAPER_BUDGET, "schedule": "constant", "until_gain": True}
    return Trial(
        axes={"series": series, "value": value, "seed": seed},
        learner="transformer",
        arguments=learner | {"seed": seed} | ({"tokens": value} if series == TOKENS else {}),
        tasks=tasks | {"n_tasks": value if series == TASKS else None, "task_seed": seed},
        training=training | until | {"seed": seed} | ({"eps": value} if series == EPS else {}),
        batch_size=value if series == BATCH else 16 if small else standard.PAPER_BATCH,
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    return [_trial(name, v, seed, scale) for name, values in GRID.items() for v in values for seed in range(seeds)]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Length against each setting: a dot for a run, a triangle for one that never left; the law where one is fitted."""
    figure, grid = panels(len(GRID), across=2)
    for axes, (series, values), colour in zip(grid, GRID.items(), PALETTE, strict=False):
        rows = [record for record in records if record["axes"]["series"] == series]
        numeric = series != TOKENS
        for left, mark in ((True, "o"), (False, "^")):
            chosen = [row for row in rows if (row["left_chance"] is not None) == left]
            where = [row["axes"]["value"] if numeric else values.index(row["axes"]["value"]) for row in chosen]
            label = "end of the plateau, one run" if left else f"still on it at step {_budget(rows):,}"
            if chosen:
                lengths = [row["left_chance"] or _budget(rows) for row in chosen]
                axes.scatter(
                    where, lengths, marker=mark, facecolor=colour if left else "none", edgecolor=colour, label=label
                )
        law = _law(rows) if numeric else None
        if law is not None:
            line_at = np.geomspace(min(values), max(values), 50)
            axes.plot(line_at, law.factor * line_at**law.exponent.mean, color=colour, linewidth=1.0, label=_said(law))
        axes.set(title=f"length of the plateau by {series}", xlabel=series, ylabel="steps", yscale="log")
        if numeric:
            axes.set_xscale("log", base=10 if series == EPS else 2)
        else:
            axes.set_xticks(range(len(values)), values)
    save(figure, [folder / "plateau.png", folder / "plateau.svg"])
    return ["plateau.png", "plateau.svg"]


def _budget(rows: Sequence[Record]) -> int:
    """Steps that every run was allowed: those of one that never left, else of the longest."""
    return max(int(row["steps"]) for row in rows)


def _law(rows: Sequence[Record]) -> PowerLaw | None:
    """The power law of a numeric series, runs that never left counted as longer than the budget."""
    return fit_power_law([row["axes"]["value"] for row in rows], [row["left_chance"] for row in rows], _budget(rows))


def _said(law: PowerLaw) -> str:
    """Such as `∝ setting^−0.41 [−0.52, −0.30]`."""
    return "∝ setting^{:+.2f} [{:+.2f}, {:+.2f}]".format(*(float(value) for value in law.exponent))


def findings(records: Sequence[Record]) -> list[str]:
    """For each setting the lengths of all runs, how many never left the plateau, and the power law."""
    lines = []
    for series, values in GRID.items():
        rows = [record for record in records if record["axes"]["series"] == series]
        told = []
        for value in values:
            lengths = [line(row) for row in rows if row["axes"]["value"] == value]
            told.append(f"{_name(series, value)}: {', '.join(lengths)}")
        stayed = sum(row["left_chance"] is None for row in rows)
        end = f"{stayed} of {len(rows)} runs never left it within {_budget(rows):,} steps" if rows else "no runs"
        law = _law(rows) if rows and series != TOKENS else None
        lines.append(f"By {series}: {'; '.join(told)}. {end}{'' if law is None else f'; length {_said(law)}'}.")
    return lines


def _name(series: str, value: Any) -> str:
    if series == TASKS:
        return f"2^{int(np.log2(value))}"
    return f"{value:g}" if series == EPS else str(value)


def line(record: Record) -> str:
    """The step at which the plateau ended, if it did."""
    left = record["left_chance"]
    return f"not within {record['steps']:,}" if left is None else f"{left:,}"


EXPERIMENT = Experiment(
    name="plateau",
    title="The length of the loss plateau",
    question=(
        "At first nothing is learned inside an episode; how many steps does that last? Against batch size (a review of "
        "the paper reports a power law), number of tasks, Adam's ε (smaller is said to be faster), and the form of the "
        "tokens. Exponents are fitted to all runs, those that never left counted as longer than the budget, with 95 % "
        "intervals."
    ),
    scales={"small": lambda: _trials("small", 2), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
