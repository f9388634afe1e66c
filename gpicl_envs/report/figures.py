"""Pictures of records as PNG and SVG files: the same records give the same bytes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gpicl_envs.datasets.files import replacing
from gpicl_envs.evaluation.records import Record
from gpicl_envs.report.columns import Columns, learners, return_columns, scored_columns
from gpicl_envs.report.costs import Cost
from gpicl_envs.report.model import unit

PALETTE = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f")
LONGEST = 44  # characters of a name
DASHES = ("-", "--", ":", "-.")
FEW_DECADES = 100  # ratio of values up to which an axis is labelled at 1, 2 and 5 of each decade
LEAST_PREDICTIONS = 20  # in a bin of confidence that is drawn

Result = TypeVar("Result", bound=Record)


def line_style(number: int) -> dict[str, str]:
    """Return the colour and dash of one of many lines: when the colours repeat, the dash changes."""
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number // len(PALETTE) % len(DASHES)]}


def styles(columns: Columns) -> dict[str, dict[str, Any]]:
    """Return learner → label, colour and dash, the same in every picture."""
    found: dict[str, dict[str, Any]] = {}
    for i, learner in enumerate(learners(columns)):
        label = plain(learner)
        if any(style["label"] == label for style in found.values()):  # long names that differ in their middle
            label = f"{label} ({i + 1})"
        found[learner] = {"label": label} | line_style(i)
    return found


def draw_curves(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw each learner's learning curve with its interval, one panel a column, into PNG or SVG files."""
    style_of = styles(columns)
    with _one_panel_a_column(scored_columns(columns), paths) as shown:
        for axes, records in shown:
            for record in records:
                style = style_of[record.learner]
                mean, low, high = (unit(record).factor * np.array(values) for values in record.curve)
                positions = np.arange(1, len(mean) + 1)
                axes.plot(positions, mean, **style, linewidth=1.3)
                axes.fill_between(positions, low, high, color=style["color"], alpha=0.15, linewidth=0)
            axes.set(xlabel="example", xlim=(1, len(records[0].curve.mean)))
            axes.set_ylabel(f"{unit(records[0]).name}, 95 % interval")
            if records[0].larger_is_better:
                axes.set(ylim=(0, 100))
            else:
                axes.set(yscale="symlog", ylim=(0, None))


def draw_reliability(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw accuracy against confidence over the final positions, one panel a column; small bins are left out."""
    style_of = styles(columns)
    shown = {
        title: [record for record in records if record.reliability]
        for title, records in scored_columns(columns).items()
    }
    with _one_panel_a_column({title: records for title, records in shown.items() if records}, paths) as grid:
        for axes, records in grid:
            axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=1)
            for record in records:
                bins = record.reliability
                assert bins is not None
                drawn = np.array(bins.count) >= LEAST_PREDICTIONS
                points = (100 * np.array(values, np.float64)[drawn] for values in (bins.confidence, bins.accuracy))
                axes.plot(*points, marker=".", linewidth=1.1, **style_of[record.learner])
            axes.set(xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 100), ylim=(0, 100))


def draw_state_sizes(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw the final score, with its interval, against the size of the state that the last prediction can read."""
    style_of = styles(columns)
    with _one_panel_a_column(scored_columns(columns), paths) as shown:
        for axes, records in shown:
            for record in records:
                mean, low, high = (unit(record).factor * value for value in record.final)
                error = [[max(0.0, mean - low)], [max(0.0, high - mean)]]
                style = style_of[record.learner] | {"linestyle": "none", "marker": "o", "markersize": 5, "capsize": 2}
                axes.errorbar(record.state_size, mean, error, **style)
            axes.set(xlabel="state size (numbers)", ylabel=f"final {unit(records[0]).name}, 95 % interval")
            sizes = [record.state_size for record in records]
            _use_logarithms(axes, sizes) if all(sizes) else axes.set(xscale="symlog", xlim=(-0.5, None))


def draw_costs(columns: Columns, paths: Sequence[Path], cost: Cost) -> None:
    """Draw the final score against what a prediction costs, with the Pareto front; unknown costs are left out."""
    style_of = styles(columns)
    known = {
        title: [record for record in records if cost.value(record) is not None]
        for title, records in scored_columns(columns).items()
    }
    with _one_panel_a_column({title: records for title, records in known.items() if records}, paths) as shown:
        for axes, records in shown:
            values = {id(record): cost.value(record) or 0.0 for record in records}
            factor = unit(records[0]).factor
            for record in records:
                style = style_of[record.learner] | {"linestyle": "none", "marker": "o", "markersize": 5}
                axes.plot([values[id(record)]], [factor * record.final.mean], **style)
            front = cost.front(records)
            steps = [values[id(record)] for record in front], [factor * record.final.mean for record in front]
            axes.plot(*steps, drawstyle="steps-post", color="#888888", linewidth=1, zorder=0, label="Pareto front")
            if all(values.values()):
                _use_logarithms(axes, values.values())
            else:
                axes.set_xscale("symlog", linthresh=min((value for value in values.values() if value), default=1.0))
            axes.set(xlabel=cost.head, ylabel=f"final {unit(records[0]).name}")


def draw_regrets(columns: Columns, paths: Sequence[Path]) -> None:
    """Draw each player's regret in every episode of a problem with its interval, one panel a column."""
    from matplotlib.ticker import MaxNLocator

    style_of = styles(columns)
    with _one_panel_a_column(return_columns(columns), paths) as shown:
        for axes, records in shown:
            for record in records:
                style, (mean, low, high) = style_of[record.learner], record.episode_regret
                episodes = np.arange(1, len(mean) + 1)
                axes.plot(episodes, mean, **style, linewidth=1.3)
                axes.fill_between(episodes, low, high, color=style["color"], alpha=0.15, linewidth=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.axhline(0, color="#bbbbbb", linewidth=1, zorder=0)
            axes.set(xlabel="episode of the problem", xlim=(1, max(2, len(records[0].episode_regret.mean))))
            axes.set_ylabel("regret of the episode, 95 % interval")


def _use_logarithms(axes: Any, values: Collection[float]) -> None:
    """Draw positive values on a horizontal axis of logarithms, whose labels do not overlap as matplotlib's own can."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    if max(values) < FEW_DECADES * min(values):
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


@contextmanager
def _one_panel_a_column(
    columns: Mapping[str, Sequence[Result]], paths: Sequence[Path]
) -> Iterator[list[tuple[Any, Sequence[Result]]]]:
    """Yield each column's panel and records, at most three panels in a row; then save the figure."""
    figure, grid = panels(max(1, len(columns)), across=2 if len(columns) in (2, 4) else 3, width=5.2)
    for axes, title in zip(grid, columns, strict=False):
        axes.set_title(plain(title))
    for axes in grid[len(columns) :]:
        axes.remove()
    yield list(zip(grid, columns.values(), strict=False))
    save(figure, paths)


def plain(text: str) -> str:
    """Return text, without its middle if long, that matplotlib neither reads as a formula nor leaves out."""
    half = LONGEST // 2
    short = text if len(text) <= LONGEST else f"{text[:half]}…{text[1 - half :]}"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")


def panels(count: int, across: int = 3, width: float = 5.0) -> tuple[Any, list[Any]]:
    """Return a figure and its panels, `across` in a row, each `width` inches wide."""
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
    figure.set_layout_engine("none")  # the layout that it found is used for every format
    for path in paths:
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with rc_context({"svg.hashsalt": "gpicl", "svg.fonttype": "path"}):
            with replacing(path) as partial:
                figure.savefig(partial, metadata=metadata)
