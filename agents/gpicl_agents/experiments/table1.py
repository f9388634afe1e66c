"""Table 1: every learner of the paper's table, meta-trained here, and baselines that the table lacks, with intervals.

The columns are those of the suite `gpicl-table1`: example 100 after 99. A column whose dataset is not at hand is left
out by name. At small scale each learner is trained as its preset says, minutes on a CPU core, and not as in the paper.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import keep, percent
from gpicl_agents.experiments.engine.trial import Question, Trial
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.report.figures import PALETTE, panels
from gpicl_envs.report.paper import COLUMNS, NOTE, PUBLISHED, SUITE
from gpicl_envs.suites.definitions import find_suite

TASKS: dict[str, Any] = {"dataset": "MNIST", "n_features": 784}
PRESETS_OF: dict[str, tuple[str, ...]] = {
    "small": ("vsml", "fast", "outer-product", "deltanet", "maml", "similarity"),
    "paper": ("paper", "vsml", "fast", "outer-product", "deltanet", "maml", "similarity", "kernel", "lstm"),
}
BASELINES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "knn": {"metric": "cosine"},
    "ridge": {},
    "kernel-ridge": {},
}
IN_THE_PAPER = {
    "sgd": "SGD",
    "maml": "MAML",
    "vsml": "VSML",
    "outer-product-lstm": "LSTM",
    "transformer": "GPICL Transformer",
    "transformer-paper": "GPICL Transformer",
}
EPISODES = {"small": 1024, "paper": None}  # a column; None is as many as the suite says
PAPER_STEPS = 50_000


def _questions(episodes: int | None) -> tuple[Question, ...]:
    """The suite's cells, on fewer episodes if given, and the lossy copy of CIFAR10."""
    cells = find_suite(SUITE).cells
    asked = [Question(cell.name, cell.protocol, cell.arguments, episodes or cell.episodes) for cell in cells]
    return *asked, settings.unseen_dataset(settings.CIFAR10_COPY, asked[0].episodes)


def _meta_trained(preset: str, seed: int, scale: str) -> Trial:
    """A preset; at paper scale with the paper's batch and number of steps."""
    chosen = PRESETS[preset]
    training = asdict(chosen.config) | {"evaluate_every": 0, "checkpoint_every": 250, "seed": seed}
    if scale == "paper":
        training |= {"steps": PAPER_STEPS, "warmup_steps": 1000, "checkpoint_every": 1000}
    return Trial(
        axes={"preset": preset, "seed": seed},
        learner=chosen.learner,
        arguments=chosen.learner_kwargs | {"seed": seed},
        tasks=TASKS,
        training=training,
        batch_size=chosen.batch_size if scale == "small" else settings.PAPER.batch_size,
        questions=_questions(EPISODES[scale]),
    )


def _baseline(learner: str, scale: str) -> Trial:
    return Trial(
        axes={"learner": learner},
        learner=learner,
        arguments=BASELINES[learner],
        tasks=TASKS,
        training=None,
        questions=_questions(EPISODES[scale]),
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    """The longest first, so that no core waits for it at the end."""
    found = [_meta_trained(preset, seed, scale) for preset in PRESETS_OF[scale] for seed in range(seeds)]
    return found + [_baseline(learner, scale) for learner in BASELINES]


def _columns(records: Sequence[Record]) -> list[str]:
    """The questions that were answered, in order."""
    return list(dict.fromkeys(name for record in records for name in record["answers"]))


def _at_the_end(record: Record, column: str) -> list[float]:
    """Accuracy at the last example: mean, low, high."""
    return [values[-1] for values in record["answers"][column]["accuracy"]]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """One panel a column: each learner with its interval, the paper's value beside it."""
    columns = _columns(records)
    figure, grid = panels(len(columns))
    for axes, column in zip(grid, columns, strict=True):
        for i, record in enumerate(records):
            if column not in record["answers"]:
                continue
            mean, low, high = (100 * value for value in _at_the_end(record, column))
            colour = PALETTE[0] if "steps" in record else PALETTE[7]
            label = "meta-trained here" if "steps" in record else "not trained"
            axes.errorbar(mean, i, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, capsize=2, label=label)
            named = IN_THE_PAPER.get(record["learner"])
            if named and column in COLUMNS:
                published = PUBLISHED[named][COLUMNS.index(column)]
                axes.scatter([published], [i], marker="D", facecolor="none", edgecolor=PALETTE[1], label="paper")
        axes.set_yticks(range(len(records)), [_name(record) for record in records])
        axes.invert_yaxis()
        axes.set(title=column, xlabel=f"accuracy at example {_length(records)} (%), 95 % interval", xlim=(0, 103))
    return keep(figure, folder, "table1")


def _name(record: Record) -> str:
    """The learner, and its seed but for the first."""
    seed = record["axes"].get("seed")
    return record["learner"] if not seed else f"{record['learner']}, seed {seed}"


def _length(records: Sequence[Record]) -> int:
    return len(next(iter(records[0]["answers"].values()))["accuracy"][0])


def table(records: Sequence[Record]) -> str:
    """Ours with intervals, then the paper's rows."""
    columns = _columns(records)
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for record in records:
        cells = [
            percent(_at_the_end(record, column)).replace(" %", "") if column in record["answers"] else "–"
            for column in columns
        ]
        lines.append(f"| {_name(record)} | {' | '.join(cells)} |")
    for name, values in PUBLISHED.items():
        cells = [f"{values[COLUMNS.index(column)]:.1f}" if column in COLUMNS else "–" for column in columns]
        lines.append(f"| {name} (published) | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Published: {NOTE}."])


def findings(records: Sequence[Record]) -> list[str]:
    """In each column, the best learner, the best of those without training, and the paper's Transformer.

    The best of several is flattered by having been picked; the line says of how many.
    """
    lines = []
    for column in _columns(records):
        asked = [record for record in records if column in record["answers"]]
        told = []
        for title, rows in (
            ("meta-trained", [row for row in asked if "steps" in row]),
            ("without training", [row for row in asked if "steps" not in row]),
        ):
            if rows:
                best = max(rows, key=lambda row: _at_the_end(row, column)[0])
                told.append(f"best of {len(rows)} {title}: {_name(best)} {percent(_at_the_end(best, column))}")
        if column in COLUMNS:
            told.append(f"the paper's Transformer: {PUBLISHED['GPICL Transformer'][COLUMNS.index(column)]:.1f} %")
        lines.append(f"{column}: {'; '.join(told)}.")
    return lines


def line(record: Record) -> str:
    """Accuracy at the last example, by column."""
    return ", ".join(f"{column} {100 * _at_the_end(record, column)[0]:.1f} %" for column in record["answers"])


EXPERIMENT = Experiment(
    name="table1",
    title="Table 1: learners beside each other",
    question=(
        "How well is example 100 predicted after 99, by learners that were meta-trained on MNIST and by learners that "
        "were not? Columns are unseen tasks of MNIST's test images and datasets never seen in training. The paper's "
        "rows are on 512 or 768 sequences (about ± 3 points); it has no learner of the kinds of k-NN or ridge."
    ),
    scales={
        "small": lambda: _trials("small", 1),
        "paper": lambda: _trials("paper", 3),
    },
    draw=draw,
    findings=findings,
    line=line,
    table=table,
)
