"""Number of tasks and model width.

Accuracy over the last ten of 100 examples, by number of meta-training tasks and width of the model. In the paper
(Kirsch et al. 2022) an MLP, which sees one example at a time, only ever memorises, while a Transformer abruptly learns
to learn at about 2^12 to 2^13 tasks, for widths of 64 and more.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import MARGIN
from gpicl_agents.evaluations import seen_tasks, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import axis_values, select, tasks_from
from gpicl_agents.experiments.engine.plots import save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.report.figures import panels

LEARNERS = ("transformer", "memoryless-mlp")
WIDTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "small": {"transformer": (16, 32, 64, 128), "memoryless-mlp": (32, 128)},
    "paper": dict.fromkeys(LEARNERS, (8, 16, 32, 64, 128, 256, 512)),
}
EXPONENTS = {"small": range(0, 13, 4), "paper": range(0, 25, 2)}  # of two: numbers of tasks
TRAINING: dict[str, dict[str, Any]] = {"small": {"steps": 400}, "paper": {}}
CHANCE = 0.1


def trials(scale: str) -> list[Trial]:
    """Every learner, width and number of tasks, with two seeds."""
    return [
        settings.SETTINGS[scale].trial(
            {"learner": learner, "width": width, "n_tasks": 2**exponent, "seed": seed},
            [seen_tasks(256), unseen_tasks(256)],
            learner=learner,
            learner_kwargs=_learner_kwargs(learner, width, scale),
            env_kwargs={"n_tasks": 2**exponent, "task_seed": seed},
            train_kwargs=TRAINING[scale],
        )
        for learner in LEARNERS
        for width in WIDTHS[scale][learner]
        for exponent in EXPONENTS[scale]
        for seed in (0, 1)
    ]


def _learner_kwargs(learner: str, width: int, scale: str) -> dict[str, Any]:
    if learner != "transformer":
        return {"width": width}
    kwargs = settings.SETTINGS[scale].transformer | {"width": width, "n_heads": max(1, width // 32)}
    return kwargs | ({"mlp_width": 2 * width} if scale == "small" else {})


def draw(records: Records, folder: Path) -> list[str]:
    """A map of accuracy over the last ten positions for each learner and evaluation; a cell has one line per seed."""
    shown = [(learner, evaluation) for learner in LEARNERS for evaluation in (SEEN_TASK, UNSEEN_TASK)]
    figure, grid = panels(len(shown), across=2)
    for axes, (learner, evaluation) in zip(grid, shown, strict=True):
        axes.set(title=f"{learner}: {evaluation} (%)", xlabel="meta-training tasks (one line per seed)", ylabel="width")
        axes.grid(visible=False)
        if rows := select(records, learner=learner):
            _draw_map(axes, rows, evaluation)
    return [save_figure(figure, folder, "heatmap")]


def _draw_map(axes: Any, records: Records, evaluation: str) -> None:
    """Each value with half its 95 % interval; the colour is their mean."""
    widths, numbers = axis_values(records, "width"), axis_values(records, "n_tasks")
    values = np.full((len(widths), len(numbers)), np.nan)
    for y, width in enumerate(widths):
        for x, n_tasks in enumerate(numbers):
            finals = [row.results[evaluation].final for row in select(records, width=width, n_tasks=n_tasks)]
            if not finals:
                continue
            values[y, x] = 100 * np.mean([final.mean for final in finals])
            text = "\n".join(f"{100 * final.mean:.0f} ± {50 * (final.high - final.low):.0f}" for final in finals)
            axes.text(x, y, text, ha="center", va="center", fontsize=9, color="black" if values[y, x] > 50 else "white")
    axes.imshow(values, vmin=0, vmax=100, cmap="viridis", origin="lower", aspect="auto")
    axes.set_xticks(range(len(numbers)), [f"$2^{{{n_tasks.bit_length() - 1}}}$" for n_tasks in numbers])
    axes.set_yticks(range(len(widths)), [str(width) for width in widths])


def findings(records: Records) -> list[str]:
    """How many runs are above chance on unseen tasks, and from how many tasks on every seed is."""
    lines = []
    for learner in LEARNERS:
        rows = select(records, learner=learner)
        if not rows:
            continue
        best = max(row.results[UNSEEN_TASK].final.mean for row in rows)
        lines.append(
            f"{learner}: on unseen tasks {sum(map(_learns, rows))} of {len(rows)} runs are above chance by more than "
            f"{100 * MARGIN:.0f} points (95 % interval); the best reaches {100 * best:.0f} %."
        )
        for width in axis_values(rows, "width"):
            if above := tasks_from(select(rows, width=width), _learns):
                lines.append(f"{learner}, width {width}: above chance in every run from {above} tasks on.")
    return lines


def _learns(record: TrialRecord) -> bool:
    """Whether the interval on unseen tasks lies above chance and the margin."""
    return record.results[UNSEEN_TASK].final.low > CHANCE + MARGIN
