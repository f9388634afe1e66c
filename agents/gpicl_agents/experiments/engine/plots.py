"""What the figures and the lines of the experiments have in common, and the picture of emergence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gpicl_agents.experiments.engine.experiment import Record
from gpicl_agents.training.run_folder import METRICS, read_metrics
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


STRETCH = 5  # neighbouring positions averaged, against the noise of few episodes


def draw_emergence(runs: dict[str, Path], path: Path) -> None:
    """Draw the evaluations of each run's `metrics.jsonl` as curves inside an episode, coloured by training step.

    Args:
        runs: title → run folder.
        path: PNG file to write.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(runs), 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for axes, (title, folder) in zip(panels, runs.items(), strict=True):
        evaluations = read_evaluations(folder)
        steps = [step for step, _ in evaluations]
        colours = LogNorm(vmin=min(steps), vmax=max(max(steps), min(steps) + 1))
        for step, accuracy in evaluations:
            axes.plot(*stretched(accuracy), color=colormaps["viridis"](colours(step)))
        axes.set(title=title, xlabel="example", ylim=(0, 100), xlim=(1, len(evaluations[0][1])))
        axes.grid(alpha=0.25)
        bar = figure.colorbar(ScalarMappable(colours, colormaps["viridis"]), ax=axes, label="training step")
        ticks = [min(steps) * 2**i for i in range(20) if min(steps) * 2**i < max(steps) / 1.3] + [max(steps)]
        bar.set_ticks(ticks, labels=[str(step) for step in ticks])
        bar.ax.minorticks_off()
    panels[0].set_ylabel(f"accuracy on unseen tasks (%),\nmeans of {STRETCH} positions")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def stretched(accuracy: ArrayLike) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[float]]:
    """Accuracy at each position, a share → positions, and accuracies in %: means over stretches of neighbours."""
    values = np.asarray(accuracy)
    parts = np.array_split(values, max(1, len(values) // STRETCH))
    lengths = np.array([len(part) for part in parts])
    middle = np.cumsum(lengths) - (lengths - 1) / 2
    return middle, [100 * float(part.mean()) for part in parts]


def read_evaluations(folder: Path) -> list[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]]:
    """Return (step, accuracy at each position) of every evaluation of a run."""
    lines = read_metrics(folder)
    found = [(line["step"], np.array(line["unseen-task_accuracy"])) for line in lines if "unseen-task_accuracy" in line]
    if not found:
        raise ValueError(f"{folder / METRICS} holds no evaluations: train with evaluate_every above 0.")
    return found
