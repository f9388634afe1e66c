"""Emergence, and where it is transient.

How does the learning curve within an episode change during meta-training? With unlimited tasks, and with 2^6, where
learning is transient: first it generalises to unseen tasks, then the seen ones are memorised instead.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.evaluations import seen_tasks, unseen_dataset, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import percent, select
from gpicl_agents.experiments.engine.plots import add_step_bar, draw_stages, save_figure, smoothed_accuracy
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.report.figures import line_style, panels

DATASETS = ("FashionMNIST", "KMNIST", "CIFAR10", settings.CIFAR10_COPY, "SVHN", "USPS", "Digits", "Random", "Clusters")
EVALUATIONS = (SEEN_TASK, UNSEEN_TASK, *DATASETS)
N_TASKS = {"small": (None, 64), "paper": (None, 2**12, 2**13, 2**14)}
TRAINING: dict[str, dict[str, Any]] = {
    "small": {"steps": 1000, "evaluate_every": 50},
    "paper": {"evaluate_every": 1000},
}
MILLISECONDS = 400  # per frame of the animation


def trials(scale: str) -> list[Trial]:
    """Every number of tasks with two seeds; datasets are shown at their own size, as during meta-training."""
    during = {"evaluate_episodes": 64, "evaluate_seen": True, "evaluate_datasets": DATASETS}
    return [
        settings.SETTINGS[scale].trial(
            {"n_tasks": n_tasks or "unlimited", "seed": seed},
            [seen_tasks(), unseen_tasks(), *(unseen_dataset(name, image_size=None) for name in DATASETS)],
            env_kwargs={"n_tasks": n_tasks, "task_seed": seed},
            train_kwargs=during | TRAINING[scale],
        )
        for n_tasks in N_TASKS[scale]
        for seed in (0, 1)
    ]


def draw(records: Records, folder: Path) -> list[str]:
    """The curves within an episode as small multiples and as an animation, and the final accuracy against steps."""
    by_n_tasks = [select(records, n_tasks=n) for n in dict.fromkeys(record.axes["n_tasks"] for record in records)]
    first = [rows[0] for rows in by_n_tasks]
    curves = save_figure(_draw_curves(first), folder, "emergence")
    _animate(first, folder / "emergence.gif")
    return [curves, "emergence.gif", save_figure(_draw_transience(by_n_tasks), folder, "emergence-transience")]


def _evaluated(record: TrialRecord) -> list[str]:
    """The evaluations during meta-training; datasets that are missing are left out."""
    return [name for name in EVALUATIONS if all(name in stage.accuracy for stage in record.training.history)]


def _draw_curves(records: Records) -> Any:
    """Two rows for each run, a panel for each evaluation, a curve for each stage of meta-training."""
    across = -(-max(len(_evaluated(record)) for record in records) // 2)
    figure, grid = panels(len(records) * 2 * across, across=across, width=3.6)
    drawn = []
    for i, record in enumerate(records):
        own, names = grid[i * 2 * across : (i + 1) * 2 * across], _evaluated(record)
        for axes, name in zip(own, names, strict=False):
            colours = draw_stages(axes, [(stage.step, stage.accuracy[name]) for stage in record.training.history])
            axes.set(title=f"{record.axes['n_tasks']} tasks: {name}")
        for axes in own[len(names) :]:
            axes.remove()
        drawn += own[: len(names)]
    add_step_bar(figure, colours, drawn, label="training step (seed 0, 64 episodes per curve)", aspect=80)
    return figure


def _draw_transience(by_n_tasks: list[list[TrialRecord]]) -> Any:
    """Accuracy over the last ten positions against steps, a line for each seed, a panel for each number of tasks."""
    figure, grid = panels(len(by_n_tasks))
    for axes, records in zip(grid, by_n_tasks, strict=True):
        for record in records:
            for name in _evaluated(record):
                steps, final = zip(*_finals(record, name), strict=True)
                axes.plot(steps, final, linewidth=1.1, label=name, **line_style(EVALUATIONS.index(name)))
        title = f"{records[0].axes['n_tasks']} tasks ({len(records)} seeds, one line each)"
        axes.set(title=title, xlabel="meta-training step", ylabel=f"accuracy over the last {LAST} (%)", ylim=(0, 100))
    return figure


def _finals(record: TrialRecord, name: str) -> list[tuple[int, float]]:
    """(step, accuracy in % over the last ten positions) at every stage of meta-training."""
    return [(stage.step, 100 * float(np.mean(stage.accuracy[name][-LAST:]))) for stage in record.training.history]


def _animate(records: Records, path: Path) -> None:
    """One frame for each stage of meta-training, one panel for each run."""
    from PIL import Image

    frames = []
    for stages in zip(*(record.training.history for record in records), strict=False):
        figure, grid = panels(len(records))
        for axes, record, stage in zip(grid, records, stages, strict=True):
            for name in _evaluated(record):
                axes.plot(*smoothed_accuracy(stage.accuracy[name]), label=name, **line_style(EVALUATIONS.index(name)))
            title = f"{record.axes['n_tasks']} tasks, step {stage.step:,}"
            axes.set(title=title, xlabel="example", ylabel="accuracy (%)", ylim=(0, 100))
            axes.legend(loc="lower right", fontsize=8, frameon=False)
        figure.canvas.draw()
        frames.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB").quantize(64))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)


def findings(records: Records) -> list[str]:
    """For each run, the best accuracy on unseen tasks during meta-training, and that at its end."""
    lines = []
    for record in records:
        finals = _finals(record, UNSEEN_TASK)
        best_step, best = max(finals, key=lambda final: (final[1], final[0]))
        last_step, last = finals[-1]
        lines.append(
            f"{record.axes['n_tasks']} tasks, seed {record.axes['seed']}: accuracy on unseen tasks is highest at step "
            f"{best_step:,} ({best:.0f} %, 64 episodes); at step {last_step:,} it is {last:.0f} %, and over 512 "
            f"episodes {percent(record.results[UNSEEN_TASK].final)}."
        )
    return lines
