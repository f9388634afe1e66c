"""Heat map: number of tasks × model width, for the Transformer and for an MLP without a memory (Kirsch et al. 2022)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.experiments import standard
from gpicl_agents.experiments.drawing import finals, keep
from gpicl_agents.experiments.experiment import Experiment, Record
from gpicl_agents.experiments.trial import Trial
from gpicl_agents.verdict import MARGIN, SEEN, UNSEEN
from gpicl_envs.report.figures import panels

LEARNERS = ("transformer", "memoryless-mlp")
CHANGES: dict[str, dict[str, Any]] = {"small": {"steps": 400}, "paper": {}}
CHANCE = 0.1


def _trial(learner: str, width: int, exponent: int, scale: str) -> Trial:
    setting = standard.SETTINGS[scale]
    arguments: dict[str, Any] = {"width": width, "seed": 0}
    if learner == "transformer":
        arguments |= setting.transformer | {"width": width, "n_heads": max(1, width // 32)}
        arguments |= {"mlp_width": 2 * width} if scale == "small" else {}
    return Trial(
        axes={"learner": learner, "width": width, "n_tasks": 2**exponent},
        learner=learner,
        arguments=arguments,
        tasks=setting.tasks | {"n_tasks": 2**exponent},
        training=setting.training | CHANGES[scale],
        batch_size=setting.batch_size,
        questions=(standard.seen(256), standard.unseen(256)),
    )


def small() -> list[Trial]:
    """Four numbers of tasks; four widths of the Transformer, two of the MLP."""
    widths = {"transformer": (16, 32, 64, 128), "memoryless-mlp": (32, 128)}
    return [_trial(name, w, k, "small") for name in LEARNERS for w in widths[name] for k in (0, 4, 8, 12)]


def paper() -> list[Trial]:
    """2^0 … 2^24 in steps of two powers; widths 8 … 512."""
    widths = (8, 16, 32, 64, 128, 256, 512)
    return [_trial(name, w, k, "paper") for name in LEARNERS for w in widths for k in range(0, 25, 2)]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """One map for each learner and question: accuracy over the last ten positions, with half its 95 % interval."""
    shown = [(learner, question) for learner in LEARNERS for question in (SEEN, UNSEEN)]
    figure, grid = panels(len(shown), across=2)
    for axes, (learner, question) in zip(grid, shown, strict=True):
        rows = [record for record in records if record["axes"]["learner"] == learner]
        axes.set(title=f"{learner}: {question} (%)", xlabel="meta-training tasks (one seed a cell)", ylabel="width")
        axes.grid(visible=False)
        if not rows:
            continue
        widths, tasks = (sorted({row["axes"][key] for row in rows}) for key in ("width", "n_tasks"))
        values = np.full((len(widths), len(tasks)), np.nan)
        for row in rows:
            mean, low, high = row["answers"][question]["final"]
            y, x = widths.index(row["axes"]["width"]), tasks.index(row["axes"]["n_tasks"])
            values[y, x] = 100 * mean
            text = f"{100 * mean:.0f} ± {50 * (high - low):.0f}"
            axes.text(x, y, text, ha="center", va="center", fontsize=9, color="black" if mean > 0.5 else "white")
        axes.imshow(values, vmin=0, vmax=100, cmap="viridis", origin="lower", aspect="auto")
        axes.set_xticks(range(len(tasks)), [f"$2^{{{int(np.log2(n))}}}$" for n in tasks])
        axes.set_yticks(range(len(widths)), [str(width) for width in widths])
    return keep(figure, folder, "heatmap")


def findings(records: Sequence[Record]) -> list[str]:
    """Which cells answer unseen tasks better than chance."""
    lines = []
    for learner in LEARNERS:
        rows = [record for record in records if record["axes"]["learner"] == learner]
        if not rows:
            continue
        above = [row for row in rows if row["answers"][UNSEEN]["final"][1] > CHANCE + MARGIN]
        best = max(row["answers"][UNSEEN]["final"][0] for row in rows)
        lines.append(
            f"{learner}: on unseen tasks {len(above)} of {len(rows)} cells are above chance by more than "
            f"{100 * MARGIN:.0f} points (95 % interval); the best reaches {100 * best:.0f} %."
        )
        for width in sorted({row["axes"]["width"] for row in above}):
            least = min(row["axes"]["n_tasks"] for row in above if row["axes"]["width"] == width)
            lines.append(f"{learner}, width {width}: from 2^{int(np.log2(least))} tasks on.")
    return lines


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
