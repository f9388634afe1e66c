"""Plateau: how long nothing is learned at first, against batch size, number of tasks, Adam's ε, and the form of tokens.

A plateau ends at the step at which accuracy over the last ten positions exceeds that at the first by ten points, in
running means over about twenty steps (`training.plateau.Plateau`). A run that is still on it when the budget ends is
counted as one that lasts longer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import keep
from gpicl_agents.experiments.engine.power_law import PowerLaw, fit_power_law
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels

BATCH, TASKS, EPS, TOKENS = "batch size", "tasks", "Adam's ε", "tokens"
BATCHES = {"small": (4, 8, 16, 32, 64), "paper": (32, 128, 512, 1024)}
OTHERS: dict[str, tuple[Any, ...]] = {
    TASKS: (2**5, 2**6, 2**8, 2**12, 2**24),
    EPS: (1e-12, 1e-8, 1e-4, 1e-3, 1e-2),
    TOKENS: ("paired", "query", "paper"),
}
BUDGET = {"small": 1500, "paper": 50_000}  # steps


def _trial(series: str, value: Any, seed: int, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    until = {"steps": BUDGET[scale], "schedule": "constant", "until_gain": True}
    return Trial(
        axes={"series": series, "value": value, "seed": seed},
        learner="transformer",
        arguments=setting.transformer | {"seed": seed} | ({"tokens": value} if series == TOKENS else {}),
        tasks=setting.tasks | {"n_tasks": value if series == TASKS else None, "task_seed": seed},
        training=setting.training | until | {"seed": seed} | ({"eps": value} if series == EPS else {}),
        batch_size=value if series == BATCH else setting.batch_size,
        questions=(settings.unseen(),),
    )


def _grid(scale: str) -> dict[str, tuple[Any, ...]]:
    return {BATCH: BATCHES[scale]} | OTHERS


def _trials(scale: str, seeds: int) -> list[Trial]:
    cells = [(name, value) for name, values in _grid(scale).items() for value in values]
    return [_trial(*cell, seed, scale) for cell in cells for seed in range(seeds)]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Length against each setting: a mark for a run, and the law where one can be fitted."""
    series_drawn = _grid(records[0]["scale"])
    figure, grid = panels(len(series_drawn), across=2)
    for axes, (series, values), colour in zip(grid, series_drawn.items(), PALETTE[1:], strict=False):
        rows = [record for record in records if record["axes"]["series"] == series]
        numeric = series != TOKENS
        for row in rows:
            value = row["axes"]["value"]
            mark, face, label = _mark(row)
            length = row["left_chance"] or BUDGET[row["scale"]]
            style = {"marker": mark, "facecolor": face, "edgecolor": PALETTE[0], "label": label, "zorder": 3}
            axes.scatter([value if numeric else values.index(value)], [length], **style)
        law = _law(rows)
        if law is not None:
            line_at = np.geomspace(min(values), max(values), 50)
            axes.plot(line_at, law.factor * line_at**law.exponent.mean, color=colour)
        title = f"by {series}" if law is None else f"by {series}: {_said(law)}"
        axes.set(title=title, xlabel=series, ylabel="length of the plateau (steps)", yscale="log")
        if numeric:
            axes.set_xscale("log", base=10 if series == EPS else 2)
        else:
            axes.set_xticks(range(len(values)), values)
    return keep(figure, folder, "plateau")


def _learns(record: Record) -> bool:
    """Whether what ended the plateau holds for new tasks too: their gain's 95 % interval is above zero."""
    return bool(record["answers"][UNSEEN]["gain"][1] > 0)


def _mark(record: Record) -> tuple[str, str, str]:
    """Marker, face colour and label of a run."""
    if record["left_chance"] is None:
        return "^", "none", f"still on it at step {BUDGET[record['scale']]:,}"
    if _learns(record):
        return "o", PALETTE[0], "a run, new tasks learned too"
    return "o", "white", "a run, seen tasks alone"


def _law(rows: Sequence[Record]) -> PowerLaw | None:
    """The power law of a series, runs that never left counted as longer than the budget.

    None for tokens, and for ε: where that is small beside the gradients it changes nothing, so that no power can fit.
    Runs whose plateau ended in task memorisation have another kind of end, and are left out.
    """
    rows = [row for row in rows if row["left_chance"] is None or _learns(row)]
    if not rows or rows[0]["axes"]["series"] not in (BATCH, TASKS):
        return None
    values, lengths = zip(*((row["axes"]["value"], row["left_chance"]) for row in rows), strict=True)
    return fit_power_law(values, lengths, BUDGET[rows[0]["scale"]])


def _steps_of_the_law(rows: Sequence[Record]) -> str:
    """The exponent from each setting to the next where all runs of both ended and learned: equal in a power law."""
    lengths: dict[float, list[float]] = {}
    for row in rows:
        ended = row["left_chance"] is not None and _learns(row)
        lengths.setdefault(row["axes"]["value"], []).append(np.log(row["left_chance"]) if ended else np.nan)
    values = sorted(lengths)
    means = [float(np.mean(lengths[value])) for value in values]
    exponents = np.diff(means) / np.diff(np.log(values))
    return ", ".join(f"{exponent:+.2f}" for exponent in exponents if np.isfinite(exponent))


def _said(law: PowerLaw) -> str:
    """Such as `∝ setting^−0.41 [−0.52, −0.30]`."""
    return "∝ setting^{:+.2f} [{:+.2f}, {:+.2f}]".format(*(float(value) for value in law.exponent))


def findings(records: Sequence[Record]) -> list[str]:
    """For each setting the lengths of all runs, how many never left the plateau, and the power law."""
    lines = []
    for series, values in _grid(records[0]["scale"]).items():
        rows = [record for record in records if record["axes"]["series"] == series]
        if not rows:
            continue
        told = []
        for value in values:
            lengths = [line(row) for row in rows if row["axes"]["value"] == value]
            told.append(f"{_name(series, value)}: {', '.join(lengths)}")
        stayed = sum(row["left_chance"] is None for row in rows)
        end = f"{stayed} of {len(rows)} runs never left it within {BUDGET[rows[0]['scale']]:,} steps"
        law = _law(rows)
        fit = "" if law is None else f"; length {_said(law)}, from each setting to the next {_steps_of_the_law(rows)}"
        lines.append(f"By {series}: {'; '.join(told)}. {end}{fit}.")
    return lines


def _name(series: str, value: Any) -> str:
    if series == TASKS:
        return f"2^{int(np.log2(value))}"
    return f"{value:g}" if series == EPS else str(value)


def line(record: Record) -> str:
    """The step at which the plateau ended, if it did, and whether new tasks are learned then."""
    left = record["left_chance"]
    if left is None:
        return f"not within {record['steps']:,}"
    return f"{left:,}" if _learns(record) else f"{left:,} (seen tasks alone)"


EXPERIMENT = Experiment(
    name="plateau",
    title="The length of the loss plateau",
    question=(
        "At first nothing is gained inside an episode; how many steps does that last? Against batch size (a review of "
        "the paper reports a power law), number of tasks, Adam's ε (smaller is said to be faster), and the form of the "
        "tokens. A plateau ends on the tasks of meta-training; with few of them that can be task memorisation, so each "
        "run is then asked new tasks: does it gain there too? Exponents, with 95 % intervals, are fitted to all runs "
        "but those that do not; a run that never left counts as longer than the budget."
    ),
    scales={"small": lambda: _trials("small", 2), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
