"""Heat map: number of tasks × model width, for the Transformer and for an MLP without a memory (Kirsch et al. 2022)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import MARGIN, SEEN, UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import finals, keep
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import panels

LEARNERS = ("transformer", "memoryless-mlp")
CHANGES: dict[str, dict[str, Any]] = {"small": {"steps": 400}, "paper": {}}
CHANCE = 0.1


def _trial(learner: str, width: int, exponent: int, seed: int, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    arguments: dict[str, Any] = {"width": width, "seed": seed}
    if learner == "transformer":
        arguments |= setting.transformer | {"width": width, "n_heads": max(1, width // 32)}
        arguments |= {"mlp_width": 2 * width} if scale == "small" else {}
    return Trial(
        axes={"learner": learner, "width": width, "n_tasks": 2**exponent, "seed": seed},
        learner=learner,
        arguments=arguments,
        tasks=setting.tasks | {"n_tasks": 2**exponent, "task_seed": seed},
        training=setting.training | CHANGES[scale] | {"seed": seed},
        batch_size=setting.batch_size,
        questions=(settings.seen(256), settings.unseen(256)),
    )


def small() -> list[Trial]:
    """Four numbers of tasks; four widths of the Transformer, two of the MLP; two seeds."""
    widths = {"transformer": (16, 32, 64, 128), "memoryless-mlp": (32, 128)}
    cells = [(name, w, k) for name in LEARNERS for w in widths[name] for k in (0, 4, 8, 12)]
    return [_trial(*cell, seed, "small") for cell in cells for seed in (0, 1)]


def paper() -> list[Trial]:
    """2^0 … 2^24 in steps of two powers; widths 8 … 512; two seeds."""
    widths = (8, 16, 32, 64, 128, 256, 512)
    cells = [(name, w, k) for name in LEARNERS for w in widths for k in range(0, 25, 2)]
    return [_trial(*cell, seed, "paper") for cell in cells for seed in (0, 1)]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """One map for each learner and question: accuracy over the last ten positions; in a cell, every seed's value.

    Each value comes with half its 95 % interval; the colour is their mean.
    """
    shown = [(learner, question) for learner in LEARNERS for question in (SEEN, UNSEEN)]
    figure, grid = panels(len(shown), across=2)
    for axes, (learner, question) in zip(grid, shown, strict=True):
        cells: dict[tuple[int, int], list[list[float]]] = {}
        for record in records:
            if record["axes"]["learner"] == learner:
                cell = record["axes"]["width"], record["axes"]["n_tasks"]
                cells.setdefault(cell, []).append(record["answers"][question]["final"])
        axes.set(title=f"{learner}: {question} (%)", xlabel="meta-training tasks (one line a seed)", ylabel="width")
        axes.grid(visible=False)
        if not cells:
            continue
        widths, tasks = (sorted({cell[i] for cell in cells}) for i in (0, 1))
        values = np.full((len(widths), len(tasks)), np.nan)
        for (width, n_tasks), found in cells.items():
            y, x = widths.index(width), tasks.index(n_tasks)
            values[y, x] = 100 * np.mean([mean for mean, _, _ in found])
            text = "\n".join(f"{100 * mean:.0f} ± {50 * (high - low):.0f}" for mean, low, high in found)
            axes.text(x, y, text, ha="center", va="center", fontsize=9, color="black" if values[y, x] > 50 else "white")
        axes.imshow(values, vmin=0, vmax=100, cmap="viridis", origin="lower", aspect="auto")
        axes.set_xticks(range(len(tasks)), [f"$2^{{{int(np.log2(n))}}}$" for n in tasks])
        axes.set_yticks(range(len(widths)), [str(width) for width in widths])
    return keep(figure, folder, "heatmap")


def findings(records: Sequence[Record]) -> list[str]:
    """Which runs answer unseen tasks better than chance, and from how many tasks on every seed does."""
    lines = []
    for learner in LEARNERS:
        rows = [record for record in records if record["axes"]["learner"] == learner]
        if not rows:
            continue
        best = max(row["answers"][UNSEEN]["final"][0] for row in rows)
        lines.append(
            f"{learner}: on unseen tasks {sum(map(_learns, rows))} of {len(rows)} runs are above chance by more than "
            f"{100 * MARGIN:.0f} points (95 % interval); the best reaches {100 * best:.0f} %."
        )
        for width in sorted({row["axes"]["width"] for row in rows}):
            beside = [row for row in rows if row["axes"]["width"] == width]
            fails = max((row["axes"]["n_tasks"] for row in beside if not _learns(row)), default=0)
            above = [row["axes"]["n_tasks"] for row in beside if row["axes"]["n_tasks"] > fails]
            if above:
                lines.append(f"{learner}, width {width}: every run from 2^{int(np.log2(min(above)))} tasks on.")
    return lines


def _learns(record: Record) -> bool:
    """Whether the interval on unseen tasks lies above chance and the margin."""
    return bool(record["answers"][UNSEEN]["final"][1] > CHANCE + MARGIN)


def line(record: Record) -> str:
    """Accuracy over the last ten positions on seen and unseen tasks."""
    return finals(record)


EXPERIMENT = Experiment(
    name="heatmap",
    title="Number of tasks and model width",
    question=(
        "Accuracy over the last ten of 100 examples, by the number of meta-training tasks and the width of the model. "
        "The paper: an MLP, which sees one example alone, only ever memorises; the Transformer jumps to learning at "
        "about 2^12 to 2^13 tasks for widths of 64 and more."
    ),
    scales={"small": small, "paper": paper},
    draw=draw,
    findings=findings,
    line=line,
)
