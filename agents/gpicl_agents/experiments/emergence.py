"""Emergence: the learning curve inside an episode at every stage of meta-training, with many tasks and with 2^6.

At 2^6 tasks learning comes and goes: unseen tasks are answered for a while, then the seen ones are memorised instead.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import STRETCH, finals, keep, percent, stretched
from gpicl_agents.experiments.engine.trial import Question, Trial
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.report.figures import DASHES, PALETTE, panels

DATASETS = ("FashionMNIST", "KMNIST", "CIFAR10", settings.CIFAR10_COPY, "SVHN", "USPS", "Digits", "Random", "Clusters")
SHOWN = (
    "seen-task",
    "unseen-task",
    *DATASETS,
)  # datasets that are missing are left out
CHANGES: dict[str, dict[str, Any]] = {
    "small": {"steps": 1000, "evaluate_every": 50},
    "paper": {"evaluate_every": 1000},
}
MILLISECONDS = 400  # a frame


def _trial(n_tasks: int | None, seed: int, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    watched = {"evaluate_episodes": 64, "evaluate_seen": True, "evaluate_datasets": DATASETS}
    return Trial(
        axes={"n_tasks": n_tasks or "unlimited", "seed": seed},
        learner="transformer",
        arguments=setting.transformer | {"seed": seed},
        tasks=setting.tasks | {"n_tasks": n_tasks, "task_seed": seed},
        training=setting.training | watched | CHANGES[scale] | {"seed": seed},
        batch_size=setting.batch_size,
        questions=(settings.seen(), settings.unseen(), *(_at_own_size(name) for name in DATASETS)),
    )


def _at_own_size(name: str) -> Question:
    """A dataset as the trainer shows it on the way: at its own size, whatever that of meta-training is."""
    asked = settings.unseen_dataset(name)
    return replace(asked, changes=asked.changes | {"image_size": None})


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """The curves inside the episode as small multiples and as an animation, and what became of them over the steps."""
    first = list({record["axes"]["n_tasks"]: record for record in reversed(records)}.values())[::-1]
    curves = keep(_draw_curves(first), folder, "emergence")
    _animate(first, folder / "emergence.gif")
    return [*curves, "emergence.gif", *keep(_draw_transience(records), folder, "emergence-transience")]


def _shown(record: Record) -> list[str]:
    """The questions that were asked on the way."""
    return [name for name in SHOWN if all(name in entry for entry in record["history"])]


def _style(name: str) -> dict[str, str]:
    """Colour and dash of a question, the same in all figures."""
    number = SHOWN.index(name)
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number // len(PALETTE)]}


def _draw_curves(records: Sequence[Record]) -> Any:
    """Two rows a run, a panel for each question: curves dark to bright as training goes on."""
    from matplotlib import colormaps

    across = -(-max(len(_shown(record)) for record in records) // 2)
    figure, grid = panels(len(records) * 2 * across, across=across, width=3.6)
    for i, record in enumerate(records):
        mine = grid[i * 2 * across : (i + 1) * 2 * across]
        for axes, name in zip(mine, _shown(record), strict=False):
            for entry in record["history"]:
                share = entry["step"] / record["history"][-1]["step"]
                axes.plot(*stretched(entry[name]), color=colormaps["viridis"](share), linewidth=1.0)
            axes.set(title=f"{record['axes']['n_tasks']} tasks: {name}", xlabel="example", ylim=(0, 100))
            axes.set_ylabel(f"accuracy (%), means of {STRETCH}")
        for axes in mine[len(_shown(record)) :]:
            axes.remove()
    steps = [entry["step"] for entry in records[0]["history"]]
    for step in (steps[0], steps[len(steps) // 2], steps[-1]):
        label = f"after step {step:,} (seed 0, 64 episodes a curve)"
        grid[0].plot([], [], color=colormaps["viridis"](step / steps[-1]), label=label)
    return figure


def _draw_transience(records: Sequence[Record]) -> Any:
    """Accuracy over the last ten positions against steps, a line for each seed, a panel for each number of tasks."""
    numbers = list(dict.fromkeys(record["axes"]["n_tasks"] for record in records))
    figure, grid = panels(len(numbers))
    for axes, n_tasks in zip(grid, numbers, strict=True):
        for record in records:
            if record["axes"]["n_tasks"] != n_tasks:
                continue
            for name in _shown(record):
                steps = [entry["step"] for entry in record["history"]]
                final = [100 * float(np.mean(entry[name][-LAST:])) for entry in record["history"]]
                axes.plot(steps, final, linewidth=1.1, label=name, **_style(name))
        seeds = sum(record["axes"]["n_tasks"] == n_tasks for record in records)
        axes.set(title=f"{n_tasks} tasks ({seeds} seeds, a line each)", xlabel="meta-training step", ylim=(0, 100))
        axes.set_ylabel(f"accuracy over the last {LAST} (%)")
    return figure


def _animate(records: Sequence[Record], path: Path) -> None:
    """One frame for each evaluation, one panel for each run."""
    from PIL import Image

    frames = []
    for moment in range(min(len(record["history"]) for record in records)):
        figure, grid = panels(len(records))
        for axes, record in zip(grid, records, strict=True):
            entry = record["history"][moment]
            for name in _shown(record):
                axes.plot(*stretched(entry[name]), label=name, **_style(name))
            title = f"{record['axes']['n_tasks']} tasks, step {entry['step']:,}"
            axes.set(title=title, xlabel="example", ylabel="accuracy (%)", ylim=(0, 100))
            axes.legend(loc="lower right", fontsize=8, frameon=False)
        figure.canvas.draw()
        frames.append(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB").quantize(64))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0)


def findings(records: Sequence[Record]) -> list[str]:
    """When unseen tasks are answered best on the way, and how well at the end."""
    lines = []
    for record in records:
        final = [(float(np.mean(entry["unseen-task"][-LAST:])), entry["step"]) for entry in record["history"]]
        (best, step), (last, end) = max(final), final[-1]
        lines.append(
            f"{record['axes']['n_tasks']} tasks, seed {record['axes']['seed']}: on unseen tasks the best of the 64 "
            f"episodes' evaluations is {100 * best:.0f} % at step {step:,}; at step {end:,} it is {100 * last:.0f} %, "
            f"and {percent(record['answers'][UNSEEN]['final'])} over 512 episodes."
        )
    return lines


def line(record: Record) -> str:
    """Accuracy over the last ten positions at the end, by question."""
    return finals(record)


EXPERIMENT = Experiment(
    name="emergence",
    title="Emergence, and where it is transient",
    question=(
        "How does the learning curve inside an episode change while meta-training goes on? With unlimited tasks, and "
        "with 2^6, where an earlier look saw learning come and go."
    ),
    scales={
        "small": lambda: [_trial(n, seed, "small") for n in (None, 64) for seed in (0, 1)],
        "paper": lambda: [_trial(n, seed, "paper") for n in (None, 2**12, 2**13, 2**14) for seed in (0, 1)],
    },
    draw=draw,
    findings=findings,
    line=line,
)
