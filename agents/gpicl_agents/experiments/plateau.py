"""The length of the loss plateau.

At first accuracy does not rise within an episode. How many steps of meta-training does this plateau last, by batch size
(a review of the paper reports a power law), number of tasks, Adam's ε (a smaller one is said to be faster), and the
form of the tokens? It ends at the step at which accuracy over the last ten positions exceeds that at the first by ten
points, in running means over about twenty steps.

A plateau ends on the tasks of meta-training. With few tasks its end can be task memorisation, so each run is then
evaluated on new tasks: does accuracy rise there too? Exponents, with 95 % intervals, are fitted to the runs for which
it does; a run that never left the plateau counts as one longer than the budget.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.evaluations import unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import axis_values, power_of_two, select, unseen_gain
from gpicl_agents.experiments.engine.plots import save_figure
from gpicl_agents.experiments.engine.power_law import PowerLaw, fit_power_law
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.report.figures import PALETTE, panels

BATCH, TASKS, EPS, TOKENS = "batch size", "tasks", "Adam's ε", "tokens"
OTHERS: dict[str, tuple[Any, ...]] = {
    TASKS: (2**5, 2**6, 2**8, 2**12, 2**24),
    EPS: (1e-12, 1e-8, 1e-4, 1e-3, 1e-2),
    TOKENS: ("paired", "query", "paper"),
}
SERIES = {"small": {BATCH: (4, 8, 16, 32, 64)} | OTHERS, "paper": {BATCH: (32, 128, 512, 1024)} | OTHERS}
BUDGET = {"small": 1500, "paper": 50_000}  # steps


def trials(scale: str) -> list[Trial]:
    """Every value of every series with every seed."""
    return [
        _trial(series, value, seed, scale)
        for series, values in SERIES[scale].items()
        for value in values
        for seed in range(settings.SEEDS[scale])
    ]


def _trial(series: str, value: Any, seed: int, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    until = {"steps": BUDGET[scale], "schedule": "constant", "until_gain": True}
    return setting.trial(
        {"series": series, "value": value, "seed": seed},
        [unseen_tasks()],
        learner_kwargs=setting.transformer | ({"tokens": value} if series == TOKENS else {}),
        env_kwargs={"n_tasks": value if series == TASKS else None, "task_seed": seed},
        train_kwargs=until | ({"eps": value} if series == EPS else {}),
        batch_size=value if series == BATCH else None,
    )


def draw(records: Records, folder: Path) -> list[str]:
    """Length of the plateau against each setting: a mark for each run, and the power law if there is one."""
    shown = SERIES[records[0].scale]
    figure, grid = panels(len(shown), across=2)
    for axes, (series, values), colour in zip(grid, shown.items(), PALETTE[1:], strict=False):
        rows = select(records, series=series)
        for row in rows:
            value = row.axes["value"]
            where = values.index(value) if series == TOKENS else value
            marker, face, label = _mark(row)
            length = row.training.plateau_end or BUDGET[row.scale]
            style = {"marker": marker, "facecolor": face, "edgecolor": PALETTE[0], "label": label, "zorder": 3}
            axes.scatter([where], [length], **style)
        title, law = f"by {series}", _fit(rows)
        if law is not None:
            line_at = np.geomspace(min(values), max(values), 50)
            axes.plot(line_at, law.factor * line_at**law.exponent.mean, color=colour)
            title += f": ∝ {_power(law)}"
        axes.set(title=title, xlabel=series, ylabel="length of the plateau (steps)", yscale="log")
        if series == TOKENS:
            axes.set_xticks(range(len(values)), values)
        else:
            axes.set_xscale("log", base=10 if series == EPS else 2)
    return [save_figure(figure, folder, "plateau")]


def _learns(record: TrialRecord) -> bool:
    """Whether accuracy also rises on new tasks when the plateau ends: the gain's 95 % interval is above zero."""
    return unseen_gain(record).low > 0


def _mark(record: TrialRecord) -> tuple[str, str, str]:
    """Marker, face colour and label of a run."""
    if record.training.plateau_end is None:
        return "^", "none", f"still on the plateau at step {BUDGET[record.scale]:,}"
    if _learns(record):
        return "o", PALETTE[0], "learns new tasks too"
    return "o", "white", "learns seen tasks only"


def _fit(rows: Records) -> PowerLaw | None:
    """The power law of a series; runs that never left the plateau count as longer than the budget.

    None for tokens, and for ε, which has no effect while it is small beside the gradients, so that no power law can
    fit. Runs whose plateau ended in task memorisation are left out: theirs is another kind of end.
    """
    rows = [row for row in rows if row.training.plateau_end is None or _learns(row)]
    if not rows or rows[0].axes["series"] not in (BATCH, TASKS):
        return None
    values, lengths = zip(*((row.axes["value"], row.training.plateau_end) for row in rows), strict=True)
    return fit_power_law(values, lengths, BUDGET[rows[0].scale])


def _local_exponents(rows: Records) -> str:
    """The exponent from each setting to the next, if all runs of both left the plateau: equal in a power law."""
    means = {}
    for value in axis_values(rows, "value"):
        lengths = [
            row.training.plateau_end if row.training.plateau_end and _learns(row) else np.nan
            for row in select(rows, value=value)
        ]
        means[value] = float(np.mean(np.log(lengths)))
    exponents = np.diff(list(means.values())) / np.diff(np.log(list(means)))
    return ", ".join(f"{exponent:+.2f}" for exponent in exponents if np.isfinite(exponent))


def _power(law: PowerLaw) -> str:
    """Such as `setting^-0.41 [-0.52, -0.30]`."""
    return "setting^{:+.2f} [{:+.2f}, {:+.2f}]".format(*law.exponent)


def findings(records: Records) -> list[str]:
    """For each series the lengths of all runs, how many never left the plateau, and the power law."""
    lines = []
    for series, values in SERIES[records[0].scale].items():
        rows = select(records, series=series)
        if not rows:
            continue
        lengths = "; ".join(
            f"{_value(series, value)}: {', '.join(map(result, select(rows, value=value)))}" for value in values
        )
        stayed = sum(row.training.plateau_end is None for row in rows)
        end = f"{stayed} of {len(rows)} runs did not leave the plateau within {BUDGET[rows[0].scale]:,} steps"
        if law := _fit(rows):
            end += f"; length ∝ {_power(law)}, from each setting to the next {_local_exponents(rows)}"
        lines.append(f"By {series}: {lengths}. {end}.")
    return lines


def _value(series: str, value: Any) -> str:
    if series == TASKS:
        return power_of_two(value)
    return f"{value:g}" if series == EPS else str(value)


def result(record: TrialRecord) -> str:
    """The step at which the plateau ended, if it did, and whether accuracy then rises on new tasks too."""
    end = record.training.plateau_end
    if end is None:
        return f"not within {record.training.steps:,}"
    return f"{end:,}" if _learns(record) else f"{end:,} (seen tasks only)"
