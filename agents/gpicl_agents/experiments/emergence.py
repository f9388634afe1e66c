"""Emergence: the learning curve inside an episode at every stage of meta-training, with many tasks and with 2^6.

At 2^6 tasks learning comes and goes: unseen tasks are answered for a while, then the seen ones are memorised instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.experiments import standard
from gpicl_agents.experiments.experiment import Experiment, Record
from gpicl_agents.experiments.trial import Trial
from gpicl_agents.verdict import SEEN, UNSEEN
from gpicl_envs.metrics import LAST
from gpicl_envs.report.figures import PALETTE, panels, save

DATASETS = ("Digits", "Clusters")
SHOWN = ("seen", "unseen", *DATASETS)  # as the trainer names its questions
STRETCH = 5  # neighbouring positions averaged, against the noise of few episodes
MILLISECONDS = 400  # a frame


def _trial(n_tasks: int | None, seed: int, scale: str) -> Trial:
    small = scale == "small"
    watched = {"evaluate_every": 50, "evaluate_episodes": 64, "evaluate_seen": True, "evaluate_datasets": DATASETS}
    training = standard.SMALL_TRAINING | {"steps": 1000} if small else standard.PAPER_TRAINING
    return Trial(
        axes={"n_tasks": n_tasks or "unlimited", "seed": seed},
        learner="transformer",
        arguments=(standard.SMALL_TRANSFORMER if small else standard.PAPER_TRANSFORMER) | {"seed": seed},
        tasks=(standard.SMALL_TASKS if small else standard.PAPER_TASKS) | {"n_tasks": n_tasks},
        training=training | watched | ({} if small else {"evaluate_every": 1000}) | {"seed": seed},
        batch_size=16 if small else standard.PAPER_BATCH,
        questions=(standard.seen(), standard.unseen(), *(standard.unseen_dataset(name) for name in DATASETS)),
    )


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Runs by questions: curves inside the episode, dark to bright as training goes on; the same as an animation."""
    from matplotlib import colormaps

    figure, grid = panels(len(records) * len(SHOWN), across=len(SHOWN))
    for i, record in enumerate(records):
        for axes, name in zip(grid[i * len(SHOWN) :], SHOWN, strict=False):
            for entry in record["history"]:
                share = entry["step"] / record["history"][-1]["step"]
                axes.plot(*_stretched(entry[name]), color=colormaps["viridis"](share), linewidth=1.0)
            episodes = "64 episodes a curve"
            axes.set(title=f"{record['axes']['n_tasks']} tasks: {name}", xlabel=f"example ({episodes})", ylim=(0, 100))
            axes.set_ylabel(f"accuracy (%), means of {STRETCH}")
    steps = [entry["step"] for entry in records[0]["history"]]
    for step in (steps[0], steps[len(steps) // 2], steps[-1]):
        grid[0].plot([], [], color=colormaps["viridis"](step / steps[-1]), label=f"step {step:,}")
    save(figure, [folder / "emergence.png", folder / "emergence.svg"])
    _animate(records, folder / "emergence.gif")
    return ["emergence.png", "emergence.svg", "emergence.gif"]


def _stretched(accuracy: Sequence[float]) -> tuple[Any, Any]:
    """Positions and accuracies in %, each the mean over a stretch of neighbours."""
    parts = np.array_split(np.array(accuracy), max(1, len(accuracy) // STRETCH))
    ends = np.cumsum([len(part) for part in parts])
    return ends - (len(parts[0]) - 1) / 2, [100 * part.mean() for part in parts]


def _animate(records: Sequence[Record], path: Path) -> None:
    """One frame for each evaluation, one panel for each run."""
    from PIL import Image

    frames = []
    for moment in range(min(len(record["history"]) for record in records)):
        figure, grid = panels(len(records))
        for axes, record in zip(grid, records, strict=True):
            entry = record["history"][moment]
            for name, colour in zip(SHOWN, PALETTE, strict=False):
                axes.plot(*_stretched(entry[name]), color=colour, label=name)
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
        final = [(float(np.mean(entry["unseen"][-LAST:])), entry["step"]) for entry in record["history"]]
        (best, step), (last, end) = max(final), final[-1]
        mean, low, high = (100 * value for value in record["answers"][UNSEEN]["final"])
        lines.append(
            f"{record['axes']['n_tasks']} tasks, seed {record['axes']['seed']}: on unseen tasks the best of the 64 "
            f"episodes' evaluations is {100 * best:.0f} % at step {step:,}; at step {end:,} it is {100 * last:.0f} %, "
            f"and {mean:.1f} % [{low:.1f}, {high:.1f}] over 512 episodes."
        )
    return lines


def line(record: Record) -> str:
    """Accuracy over the last ten positions at the end, by question."""
    names = (SEEN, UNSEEN, *DATASETS)
    return ", ".join(f"{name} {100 * record['answers'][name]['final'][0]:.0f} %" for name in names)


EXPERIMENT = Experiment(
    name="emergence",
    title="Emergence, and where it is transient",
    question=(
        "How does the learning curve inside an episode change while meta-training goes on? With unlimited tasks, and "
        "with 2^6, where an earlier look saw learning come and go."
    ),
    scales={
        "small": lambda: [_trial(n, 0, "small") for n in (None, 64)],
        "paper": lambda: [_trial(n, seed, "paper") for n in (None, 2**12, 2**13, 2**14) for seed in (0, 1)],
    },
    draw=draw,
    findings=findings,
    line=line,
)
