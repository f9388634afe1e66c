"""What the figures and the lines of the experiments have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.experiments.experiment import Record
from gpicl_envs.report.figures import save


def draw_series(
    axes: Any, records: Sequence[Record], axis: str, question: str, statistic: str, label: str, colour: str
) -> None:
    """Draw a statistic of one question (in %) against an axis: the line joins the means over seeds, dots are trials.

    Each dot has its 95 % interval. Draws nothing where no record was asked the question.
    """
    found: dict[Any, list[Sequence[float]]] = {}
    for record in records:
        if question in record["answers"]:
            found.setdefault(record["axes"][axis], []).append(record["answers"][question][statistic])
    if not found:
        return
    where = sorted(found)
    axes.plot(where, [100 * np.mean([v[0] for v in found[x]]) for x in where], color=colour, linewidth=1.3, label=label)
    for x in where:
        for mean, low, high in found[x]:
            axes.vlines(x, 100 * low, 100 * high, color=colour, alpha=0.5, linewidth=1.2)
            axes.scatter([x], [100 * mean], color=colour, s=14, zorder=3)


def keep(figure: Any, folder: Path, name: str) -> list[str]:
    """Write a figure as PNG and SVG; return the names of the files."""
    names = [f"{name}.png", f"{name}.svg"]
    save(figure, [folder / file for file in names])
    return names


def percent(interval: Sequence[float]) -> str:
    """Such as `73.1 % [70.4, 75.7]`, from (mean, low, high) as shares."""
    return "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * value for value in interval))


def finals(record: Record, decimals: int = 0) -> str:
    """Accuracy over the last ten positions, for each question of a trial."""
    told = record["answers"].items()
    return ", ".join(f"{name} {100 * answer['final'][0]:.{decimals}f} %" for name, answer in told)
