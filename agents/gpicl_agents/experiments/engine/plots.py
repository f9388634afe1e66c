"""What the figures of several experiments share, and the picture of emergence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpicl_agents.experiments.engine.trial import Inspection
from gpicl_agents.training.run_folder import METRICS, read_metrics
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import PALETTE, line_style, panels, save

Scores = Mapping[str, Sequence[Mapping[str, Estimate]]]  # agent → for each of its runs, name of the evaluation → score
BLOCK = 5  # neighbouring points of a curve that are averaged, against the noise of few episodes
NOTHING = 1e-3  # %: an error below is rounding alone


def draw_estimate(axes: Any, x: float, estimate: Estimate, horizontal: bool = False, **style: Any) -> None:
    """Draw an estimate, in %, as a dot with its 95 % interval at a position of the other axis."""
    mean, low, high = (100 * value for value in estimate)
    error = {"xerr" if horizontal else "yerr": [[mean - low], [high - mean]]}
    style = {"fmt": "o", "markersize": 4, "capsize": 2, "elinewidth": 1.2} | style
    axes.errorbar(*((mean, x) if horizontal else (x, mean)), **error, **style)


def draw_values(axes: Any, scores: Scores, places: Mapping[str, float]) -> None:
    """Draw each agent's scores, in %, against a property of the episodes: a dot for each run, a line through the means.

    An error of 0 is not drawn, so that the axis may be logarithmic.

    Args:
        axes: of a figure.
        scores: of the agents.
        places: name of the evaluation → its place on the x-axis.
    """
    names = sorted(places, key=places.__getitem__)
    for number, (agent, runs) in enumerate(scores.items()):
        for name in names:
            for run in runs:
                draw_estimate(axes, places[name], run[name], color=line_style(number)["color"])
        means = np.array([100 * np.mean([run[name].mean for run in runs]) for name in names])
        means[means < NOTHING] = np.nan
        axes.plot([places[name] for name in names], means, linewidth=1.3, label=agent, **line_style(number))


def draw_kinds(axes: Any, scores: Scores, names: Sequence[str], first: int = 0) -> None:
    """Draw each agent's scores, in %, on some evaluations: a dot for each run, the agents beside each other.

    Args:
        axes: of a figure.
        scores: of the agents.
        names: of the evaluations, from left to right.
        first: number of the first agent's colour.
    """
    for number, (agent, runs) in enumerate(scores.items()):
        aside = 0.7 * ((number + 0.5) / len(scores) - 0.5)
        style: dict[str, Any] = {"color": line_style(first + number)["color"], "label": agent}
        for place, name in enumerate(names):
            for run in runs:
                draw_estimate(axes, place + aside, run[name], **style)
    axes.set_xticks(range(len(names)), [fill(name.replace("=", " "), 13) for name in names])


def save_figure(figure: Any, folder: Path, name: str) -> str:
    """Write a figure as PNG and SVG; return the name of the PNG file."""
    save(figure, [folder / f"{name}.png", folder / f"{name}.svg"])
    return f"{name}.png"


def smoothed(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Return the points of a curve, averaged in blocks of neighbours: x, then y."""
    points = np.stack([np.asarray(x), np.asarray(y)])
    blocks = np.array_split(points, max(1, points.shape[1] // BLOCK), axis=1)
    return np.stack([block.mean(1) for block in blocks], axis=1)


def smoothed_accuracy(accuracy: Sequence[float]) -> NDArray[np.float64]:
    """Return positions, then accuracies in %, averaged in blocks, from the accuracy at each position."""
    return smoothed(range(1, len(accuracy) + 1), 100 * np.asarray(accuracy))


def draw_stages(axes: Any, stages: Sequence[tuple[int, Sequence[float]]]) -> Any:
    """Draw the learning curve within an episode at every stage of meta-training, coloured by training step.

    Args:
        axes: of a figure.
        stages: (step, accuracy at each position).

    Returns:
        The colours, for a colour bar.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    first, last = stages[0][0], stages[-1][0]
    colours = ScalarMappable(LogNorm(first, max(last, first + 1)), "viridis")
    for step, accuracy in stages:
        axes.plot(*smoothed_accuracy(accuracy), color=colours.to_rgba(np.array(step)), linewidth=1.2)
    axes.set(xlabel="example", ylabel=f"accuracy (%), means of {BLOCK} positions", ylim=(0, 100))
    return colours


def add_step_bar(figure: Any, colours: Any, axes: Any, label: str = "training step", **style: Any) -> None:
    """Add a colour bar of the training step, marked at every doubling, beside these axes."""
    first, last = (int(value) for value in (colours.norm.vmin, colours.norm.vmax))
    bar = figure.colorbar(colours, ax=axes, label=label, **style)
    ticks = [first * 2**i for i in range(20) if first * 2**i < last / 1.3] + [last]
    bar.set_ticks(ticks, labels=[f"{step:,}" for step in ticks])
    bar.ax.minorticks_off()


def draw_reading(axes: Any, inspection: Inspection, layer: int, head: int) -> None:
    """Draw what a head reads in one episode of N tokens, with the images and labels of rows and columns.

    Row n is where label n is predicted; column i is the token that holds image i and label i − 1, framed in the rows of
    that label.
    """
    from matplotlib.patches import Rectangle

    weights, labels = np.array(inspection.weights[layer][head]), inspection.labels
    n = len(labels)
    axes.imshow(weights[-n:, :n], cmap="Blues", vmin=0, vmax=1)
    for i, image in enumerate(inspection.images):
        for left, bottom in ((-2.1, i + 0.45), (i - 0.45, -1.2)):
            axes.imshow(image, cmap="gray", extent=(left, left + 0.9, bottom, bottom - 0.9), aspect="equal")
        axes.text(-0.85, i, labels[i], ha="center", va="center", fontsize=8)
        axes.text(i, -0.85, labels[i - 1] if i else "–", ha="center", va="center", fontsize=8)
        for row in range(i, n) if i else ():
            if labels[row] == labels[i - 1]:
                axes.add_patch(Rectangle((i - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=PALETTE[1], linewidth=0.9))
    axes.grid(visible=False)
    axes.set(xlim=(-2.3, n - 0.4), ylim=(n - 0.4, -2.3), xticks=[], yticks=[])
    axes.set(xlabel="token read: image i, and label i − 1", ylabel="prediction: image n, and its label")


def draw_emergence(runs: dict[str, Path], path: Path) -> None:
    """Draw how learning emerges in each run: its evaluations on unseen tasks during meta-training.

    Args:
        runs: title → run folder.
        path: PNG file to write.
    """
    figure, grid = panels(len(runs), width=5.2)
    for axes, (title, folder) in zip(grid, runs.items(), strict=True):
        colours = draw_stages(axes, read_evaluations(folder))
        axes.set(title=title)
        add_step_bar(figure, colours, axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(figure, [path])


def read_evaluations(folder: Path) -> list[tuple[int, list[float]]]:
    """Return (step, accuracy at each position) of every evaluation of a run on unseen tasks."""
    key = "unseen-task_accuracy"
    found = [(line["step"], line[key]) for line in read_metrics(folder) if key in line]
    if not found:
        raise ValueError(f"{folder / METRICS} has no evaluations: train with evaluate_every above 0.")
    return found
