"""What the figures of the experiments have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpicl_agents.experiments.experiment import Record
from gpicl_envs.report.figures import PALETTE


def panels(count: int, across: int = 3) -> tuple[Any, list[Any]]:
    """Return a figure and its panels, so many beside each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(5.0 * across, 3.9 * down), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[count:]:
        axes.remove()
    for axes in grid[:count]:
        axes.grid(alpha=0.25)
    return figure, grid[:count]


def draw_series(axes: Any, records: Sequence[Record], axis: str, question: str, statistic: str, label: str) -> None:
    """Draw a statistic of one question (in %) against an axis: the line joins the means over seeds, dots are trials.

    Each dot has its 95 % interval. Draws nothing where no record was asked the question.
    """
    found: dict[Any, list[Sequence[float]]] = {}
    for record in records:
        if question in record["answers"]:
            found.setdefault(record["axes"][axis], []).append(record["answers"][question][statistic])
    if not found:
        return
    colour = PALETTE[len(axes.lines) % len(PALETTE)]
    where = sorted(found)
    axes.plot(where, [100 * np.mean([v[0] for v in found[x]]) for x in where], color=colour, linewidth=1.3, label=label)
    for x in where:
        for mean, low, high in found[x]:
            axes.vlines(x, 100 * low, 100 * high, color=colour, alpha=0.5, linewidth=1.2)
            axes.scatter([x], [100 * mean], color=colour, s=14, zorder=3)
