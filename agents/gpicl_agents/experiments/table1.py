"""Table 1: learners side by side.

How well is the 100th example predicted from the 99 before it, by learners that were meta-trained on MNIST and by
learners that were not? The columns are unseen tasks of MNIST's test images, and datasets never seen in meta-training.
At small scale each learner is trained as its preset says, for minutes on a CPU core, not as in the paper. The paper's
rows are over 512 or 768 sequences (about ± 3 points); it has no baselines such as k-NN or ridge regression.
"""

from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import Evaluation, unseen_dataset
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import percent
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_agents.training.config import TrainConfig
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import PALETTE, panels
from gpicl_envs.report.paper import COLUMNS, NOTE, PUBLISHED, SUITE
from gpicl_envs.suites.definitions import find_suite

ENV_KWARGS: dict[str, Any] = {"dataset": "MNIST", "n_features": 784}
PRESETS_OF: dict[str, tuple[str, ...]] = {
    "small": ("vsml", "fast", "outer-product", "deltanet", "maml", "similarity"),
    "paper": ("paper", "vsml", "fast", "outer-product", "deltanet", "maml", "similarity", "kernel", "lstm"),
}
BASELINES: dict[str, dict[str, Any]] = {"sgd": {}, "knn": {"metric": "cosine"}, "ridge": {}, "kernel-ridge": {}}
IN_THE_PAPER = {
    "sgd": "SGD",
    "maml": "MAML",
    "vsml": "VSML",
    "outer-product-lstm": "LSTM",
    "transformer": "GPICL Transformer",
    "transformer-paper": "GPICL Transformer",
}
EPISODES = {"small": 1024, "paper": None}  # per column; None for as many as the suite has
SEEDS = {"small": 1, "paper": 3}
PAPER_STEPS = 50_000


def trials(scale: str) -> list[Trial]:
    """The longest first, so that no core waits for it at the end."""
    evaluations = _evaluations(EPISODES[scale])
    found = [
        _meta_trained(preset, seed, scale, evaluations) for preset in PRESETS_OF[scale] for seed in range(SEEDS[scale])
    ]
    for learner, kwargs in BASELINES.items():
        found.append(Trial({"learner": learner}, learner, kwargs, ENV_KWARGS, None, evaluations=evaluations))
    return found


def _evaluations(episodes: int | None) -> tuple[Evaluation, ...]:
    """The suite's cells, on fewer episodes if given, and the lossy copy of CIFAR10."""
    cells = find_suite(SUITE).cells
    found = [Evaluation(cell.name, cell.protocol, cell.arguments, episodes or cell.episodes) for cell in cells]
    return *found, unseen_dataset(settings.CIFAR10_COPY, found[0].episodes)


def _meta_trained(preset: str, seed: int, scale: str, evaluations: tuple[Evaluation, ...]) -> Trial:
    """A preset; at paper scale with the paper's batch size and number of steps."""
    chosen = PRESETS[preset]
    default = vars(TrainConfig())
    training = {name: value for name, value in vars(chosen.config).items() if value != default[name]}
    training |= {"evaluate_every": 0, "checkpoint_every": 250, "seed": seed}
    if scale == "paper":
        training |= {"steps": PAPER_STEPS, "warmup_steps": 1000, "checkpoint_every": 1000}
    return Trial(
        axes={"preset": preset, "seed": seed},
        learner=chosen.learner,
        learner_kwargs=chosen.learner_kwargs | {"seed": seed},
        env_kwargs=ENV_KWARGS,
        train_kwargs=training,
        batch_size=chosen.batch_size if scale == "small" else settings.PAPER.batch_size,
        evaluations=evaluations,
    )


def _columns(records: Records) -> list[str]:
    """The evaluations that were made, in order."""
    return list(dict.fromkeys(name for record in records for name in record.results))


def _last(record: TrialRecord, column: str) -> Estimate:
    """Accuracy at the last example."""
    mean, low, high = record.results[column].accuracy
    return Estimate(mean[-1], low[-1], high[-1])


def _published(learner: str, column: str) -> float | None:
    return PUBLISHED[learner][COLUMNS.index(column)] if learner in PUBLISHED and column in COLUMNS else None


def _name(record: TrialRecord) -> str:
    """The learner, and its seed unless that is the first."""
    seed = record.axes.get("seed")
    return f"{record.learner}, seed {seed}" if seed else record.learner


def draw(records: Records, folder: Path) -> list[str]:
    """A panel for each column: every learner with its interval, and the paper's value beside it."""
    columns = _columns(records)
    figure, grid = panels(len(columns))
    for axes, column in zip(grid, columns, strict=True):
        for i, record in enumerate(records):
            if column not in record.results:
                continue
            label, colour = ("meta-trained here", 0) if record.training.steps else ("not trained", 7)
            draw_estimate(axes, i, _last(record, column), horizontal=True, color=PALETTE[colour], label=label)
            published = _published(IN_THE_PAPER.get(record.learner, ""), column)
            if published is not None:
                axes.scatter([published], [i], marker="D", facecolor="none", edgecolor=PALETTE[1], label="paper")
        axes.set_yticks(range(len(records)), [_name(record) for record in records])
        axes.invert_yaxis()
        axes.set(title=column, xlabel="accuracy at the last example (%), 95 % interval", xlim=(0, 103))
    return [save_figure(figure, folder, "table1")]


def table(records: Records) -> str:
    """Our learners with intervals, then the paper's rows."""
    columns = _columns(records)
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for record in records:
        cells = [
            percent(_last(record, column)).replace(" %", "") if column in record.results else "–" for column in columns
        ]
        lines.append(f"| {_name(record)} | {' | '.join(cells)} |")
    for learner in PUBLISHED:
        values = [_published(learner, column) for column in columns]
        cells = ["–" if value is None else f"{value:.1f}" for value in values]
        lines.append(f"| {learner} (published) | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Published: {NOTE}."])


def findings(records: Records) -> list[str]:
    """For each column, the best learner with and without meta-training, and the paper's Transformer.

    The best of several looks better than it is, because it was selected; the line says of how many.
    """
    lines = []
    for column in _columns(records):
        evaluated = [record for record in records if column in record.results]
        found = []
        for title, trained in (("meta-trained", True), ("without training", False)):
            rows = [record for record in evaluated if bool(record.training.steps) == trained]
            if rows:
                best = max(rows, key=lambda row: _last(row, column).mean)
                found.append(f"best of {len(rows)} {title}: {_name(best)} {percent(_last(best, column))}")
        published = _published("GPICL Transformer", column)
        if published is not None:
            found.append(f"the paper's Transformer: {published:.1f} %")
        lines.append(f"{column}: {'; '.join(found)}.")
    return lines


def result(record: TrialRecord) -> str:
    """Accuracy at the last example, by column."""
    return ", ".join(f"{column} {100 * _last(record, column).mean:.1f} %" for column in record.results)
