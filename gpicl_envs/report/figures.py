"""Pictures of records as PNG and SVG files, the same bytes for the same records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_envs.evaluation.comparisons import larger_is_better
from gpicl_envs.report.model import Columns, learners, scale

PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f")
LONGEST = 44  # letters of a name
DASHES = ("-", "--", ":", "-.")


def colours(columns: Columns) -> dict[str, str]:
    """Return learner → colour, the same in every picture."""
    return {learner: PALETTE[i % len(PALETTE)] for i, learner in enumerate(learners(columns))}


def _dashes(columns: Columns) -> dict[str, str]:
    """Learner → line style: another one for every round through the colours."""
    return {learner: DASHES[i // len(PALETTE) % len(DASHES)] for i, learner in enumerate(learners(columns))}


def scored(columns: Columns) -> Columns:
    """Return the columns without failed records, and without columns that have no others."""
    kept = {title: [row for row in rows if row["status"] == "ok"] for title, rows in columns.items()}
    return {title: rows for title, rows in kept.items() if rows}


def draw_curves(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw a learning curve with its interval for each learner, one panel a column, into PNG or SVG files."""
    shown = scored(columns)
    figure, panels = _panels(shown)
    colour, dash = colours(columns), _dashes(columns)
    for axes, (title, rows) in zip(panels, shown.items(), strict=False):
        metric = rows[0]["metric"]
        for row in rows:
            positions = np.arange(1, len(row[metric]) + 1)
            mean, low, high = (scale(row) * np.array(row[key]) for key in (metric, f"{metric}_low", f"{metric}_high"))
            style = {"color": colour[row["learner"]], "linestyle": dash[row["learner"]], "linewidth": 1.3}
            axes.plot(positions, mean, label=plain(row["learner"]), **style)
            axes.fill_between(positions, low, high, color=colour[row["learner"]], alpha=0.15, linewidth=0)
        axes.set(title=plain(title), xlabel="example", xlim=(1, len(rows[0][metric])))
        if larger_is_better(rows[0]):
            axes.set(ylim=(0, 100), ylabel="accuracy (%), 95 % interval")
        else:
            axes.set(yscale="symlog", ylim=(0, None), ylabel="squared error, 95 % interval")
    save(figure, paths)


def draw_reliability(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw accuracy against confidence over the final positions, one panel a column; bins of fewer than 20 left out."""
    shown = {title: [row for row in rows if "reliability" in row] for title, rows in scored(columns).items()}
    shown = {title: rows for title, rows in shown.items() if rows}
    figure, panels = _panels(shown)
    colour, dash = colours(columns), _dashes(columns)
    for axes, (title, rows) in zip(panels, shown.items(), strict=False):
        axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=1)
        for row in rows:
            bins = row["reliability"]
            points = [
                (100 * confidence, 100 * accuracy)
                for confidence, accuracy, count in zip(
                    *(bins[k] for k in ("confidence", "accuracy", "count")), strict=True
                )
                if count >= 20
            ]
            style = {"color": colour[row["learner"]], "linestyle": dash[row["learner"]], "linewidth": 1.1}
            axes.plot(*np.array(points).reshape(-1, 2).T, marker=".", label=plain(row["learner"]), **style)
        axes.set(title=plain(title), xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 100), ylim=(0, 100))
    save(figure, paths)


def draw_state_sizes(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw the final score against the numbers that the last prediction can read, with its 95 % interval."""
    shown = scored(columns)
    figure, panels = _panels(shown)
    colour = colours(columns)
    for axes, (title, rows) in zip(panels, shown.items(), strict=False):
        for row in rows:
            value, low, high = (scale(row) * row[key] for key in ("final", "final_low", "final_high"))
            error = [[max(0.0, value - low)], [max(0.0, high - value)]]
            style = {"color": colour[row["learner"]], "markersize": 5, "capsize": 2}
            axes.errorbar(row["state_size"], value, error, fmt="o", label=plain(row["learner"]), **style)
        axes.set(title=plain(title), xlabel="state size (numbers)")
        smallest = min(row["state_size"] for row in rows)
        axes.set(xscale="log") if smallest else axes.set(xscale="symlog", xlim=(-0.5, None))
        unit = (
            "final accuracy (%), 95 % interval" if larger_is_better(rows[0]) else "final squared error, 95 % interval"
        )
        axes.set_ylabel(unit)
    save(figure, paths)


def plain(text: str) -> str:
    """Return text that matplotlib shows as it is: no formula, in the legend too, and not so long that it is cut off."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")


def _panels(columns: Columns) -> tuple[Any, Sequence[Any]]:
    """A figure with a panel for each column, at most three beside each other."""
    figure, grid = panels(max(1, len(columns)), across=2 if len(columns) in (2, 4) else 3, width=5.2)
    for axes in grid[len(columns) :]:
        axes.remove()
    return figure, grid[: len(columns)]


def panels(count: int, across: int = 3, width: float = 5.0) -> tuple[Any, list[Any]]:
    """Return a figure and its panels, so many beside each other, each so many inches wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(max(6.2, width * across), 3.9 * down), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[:count]:
        axes.grid(alpha=0.25)
    return figure, grid[:count]


def save(figure: Any, paths: Sequence[Path]) -> None:
    """Write the figure, as PNG or SVG by the file's name, with one legend for all panels; no date, no random ids."""
    from matplotlib import rc_context

    entries: dict[str, Any] = {}
    for axes in figure.axes:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what it found holds for every format
    for path in paths:
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with rc_context({"svg.hashsalt": "gpicl", "svg.fonttype": "path"}):
            figure.savefig(path, metadata=metadata)
