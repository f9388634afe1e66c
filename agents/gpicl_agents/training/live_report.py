"""A live view of meta-training: how accuracy rises inside an episode, or squared error falls, as a learner trains."""

from math import isnan

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from gpicl_agents.training.progress import Progress
from gpicl_envs.commands.arguments import show
from gpicl_envs.evaluation.curve import LearningCurve
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.rendering.modes import sparkline
from gpicl_envs.report import leaderboard
from gpicl_envs.report.columns import Columns

ROWS = 12
POINTS = 25


class LiveReport:
    """Shows training in a terminal; prints one line per evaluation if the output is not a terminal.

    Args:
        name: of the learner.
        steps: of the whole training run.
        console: where to print.
    """

    def __init__(self, name: str, steps: int, console: Console | None = None) -> None:
        self.name = name
        self.console = console or Console()
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
        )
        self.task = self.bar.add_task(name, total=steps, loss="")
        self.rows: list[tuple[int, float, LearningCurve]] = []
        self.returns: list[tuple[int, float, float]] = []
        self.live = Live(self._view(), console=self.console, refresh_per_second=4) if self.console.is_terminal else None

    def __enter__(self) -> "LiveReport":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.update(self._view(), refresh=True)
            self.live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show the state after a step (the `report` argument of `train`)."""
        self.bar.update(self.task, completed=progress.step, loss=_state(progress))
        if progress.evaluated and progress.curve is None:
            self.returns.append((progress.step, progress.seconds, progress.returned))
            if self.live is None:
                line = f"{self.name} step {progress.step:>5} {progress.seconds:>5.0f} s  return {progress.returned:.3f}"
                show(line, self.console)
        if progress.evaluated and progress.curve is not None:
            self.rows.append((progress.step, progress.seconds, progress.curve))
            if self.live is None:
                show(self._line(*self.rows[-1]), self.console)
        if self.live is not None:
            self.live.update(self._view())

    def _line(self, step: int, seconds: float, curve: LearningCurve) -> str:
        ends = "  ".join(f"{name} {value:>5}" for name, value in _numbers(curve).items())
        return f"{self.name} step {step:>5} {seconds:>5.0f} s  {ends}  {_curve(curve)}"

    def _view(self) -> Group:
        if self.rows:
            last = self.rows[-1][2]
            title, headings = f"{last.metric.replace('_', ' ')} inside an episode, on unseen tasks", (*_numbers(last),)
        elif self.returns:
            title, headings = "mean return of unseen problems", ("return",)
        else:
            return Group(self.bar)
        table = Table(title=title, title_justify="left", box=None)
        for heading in ("step", "seconds", *headings):
            table.add_column(heading, justify="right")
        if self.rows:
            table.add_column("from the first example to the last")
        for step, seconds, curve in self.rows[-ROWS:]:
            table.add_row(str(step), f"{seconds:.0f}", *_numbers(curve).values(), Text(_curve(curve), style="green"))
        for step, seconds, returned in self.returns[-ROWS:]:
            table.add_row(str(step), f"{seconds:.0f}", f"{returned:.2f}")
        return Group(self.bar, table)


def outcome(progress: Progress, target: float | None = None) -> str:
    """Return how training ended, in one line."""
    better, not_better = "accuracy rose", "accuracy did not rise"
    if not isnan(progress.explained):
        better, not_better = "the squared error fell", "the squared error did not fall"
    text = f"{progress.step} steps in {progress.seconds:.0f} s"
    if progress.plateau_end is not None:
        text += f"; {better} within the episode from step {progress.plateau_end} on"
    elif progress.on_plateau:
        text += f"; {not_better} within the episode (last ten examples against the first)"
    return text + (f"; the target of {target} was reached." if progress.stopped == "target" else ".")


def reward_outcome(progress: Progress, target: float | None = None) -> str:
    """Return how training from rewards ended, in one line."""
    text = f"{progress.step} steps in {progress.seconds:.0f} s"
    if not isnan(progress.returned):
        text += f"; mean return {progress.returned:.2f} on unseen problems"
    return text + (f"; the target of {target} was reached." if progress.stopped == "target" else ".")


def score_table(columns: Columns) -> Table:
    """Return the final accuracies as a table for the terminal; columns as `gpicl_envs.report.group` makes them."""
    table = Table(
        title="accuracy over the last ten positions, % ± half the 95 % interval", title_justify="left", box=None
    )
    table.add_column("learner")
    for title in columns:
        table.add_column(title.replace(", ", "\n"), justify="right")
    for row in leaderboard(columns, sizes=False).rows:
        table.add_row(*(cell.text for cell in row.cells[: 1 + len(columns)]))
    return table


def _state(progress: Progress) -> str:
    """The loss, or the mean return of unseen problems."""
    return f"loss {progress.loss:.3f}" if isnan(progress.returned) else f"return {progress.returned:.2f}"


def _numbers(curve: LearningCurve) -> dict[str, str]:
    """What is shown of an evaluation: the metric at the first position and over the last ten; distances, if any."""
    ends = {"first": curve.mean[0], "last ten": curve.mean[-LAST:].mean()}
    if curve.metric == "accuracy":
        return {name: f"{100 * value:3.0f} %" for name, value in ends.items()}
    ends |= {f"distance to {name}": distances.mean() for name, distances in curve.distances.items()}
    return {name: f"{value:.3f}" for name, value in ends.items()}


def _curve(curve: LearningCurve) -> str:
    """Means over stretches of the episode, as bars; of errors relative to the largest."""
    parts = [part.mean() for part in np.array_split(curve.mean, min(POINTS, len(curve.mean)))]
    return sparkline(parts if curve.metric == "accuracy" else np.array(parts) / max(*parts, 1e-12))
