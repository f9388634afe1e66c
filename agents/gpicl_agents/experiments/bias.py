"""Biased tasks and the plateau of the paper's tokens.

With the paper's tokens it takes many steps of meta-training until accuracy rises within an episode. Does this plateau
end sooner if a fraction of the meta-training tasks shares one permutation of the labels (their projections stay
random)? The plateau is that of a run's own tasks, on which accuracy could also rise by exploiting the bias. So all runs
have the same number of steps and are also evaluated on new tasks without bias.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gpicl_agents.evaluations import unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import points, seed_interval, select, unseen_gain
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure, smoothed
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.report.figures import PALETTE, panels

FRACTIONS = (0.0, 0.5, 0.9, 0.95)
SEEDS = {"small": 4, "paper": 3}
# With ten classes and episodes of 100 examples the plateau outlasts minutes of training; with these it does not.
SMALL = settings.Setting(
    env_kwargs=settings.SMALL.env_kwargs | {"n_classes": 5, "length": 20},
    transformer=settings.SMALL.transformer | {"tokens": "paper"},
    train_kwargs=settings.SMALL.train_kwargs
    | {"steps": 1500, "learning_rate": 3e-3, "schedule": "constant", "evaluate_every": 100},
    batch_size=64,
)
PAPER = replace(settings.PAPER, train_kwargs=settings.PAPER.train_kwargs | {"evaluate_every": 1000})
SETTINGS = {"small": SMALL, "paper": PAPER}


def trials(scale: str) -> list[Trial]:
    """Every fraction with every seed."""
    return [
        SETTINGS[scale].trial(
            {"permutation_bias": fraction, "seed": seed},
            [unseen_tasks(4096)],
            env_kwargs={"permutation_bias": fraction, "task_seed": seed},
            train_kwargs={"evaluate_episodes": 512},
        )
        for fraction in FRACTIONS
        for seed in range(SEEDS[scale])
    ]


def _length(record: TrialRecord) -> int:
    """Steps on the plateau; all steps for a run that never left it."""
    return record.training.plateau_end or record.training.steps


def draw(records: Records, folder: Path) -> list[str]:
    """Losses, lengths of the plateau by fraction, and the final gain on new tasks without bias."""
    figure, (losses, lengths, gains) = panels(3)
    for record in records:
        fraction = record.axes["permutation_bias"]
        number = FRACTIONS.index(fraction)
        colour, label = PALETTE[number], f"{100 * fraction:.0f} % biased"
        losses.plot(*smoothed(*zip(*record.training.losses, strict=True)), color=colour, linewidth=0.9, label=label)
        where = number + 0.08 * (record.axes["seed"] - 1.5)
        marker, face = ("^", "none") if record.training.plateau_end is None else ("o", colour)
        lengths.scatter([where], [_length(record)], marker=marker, facecolor=face, edgecolor=colour)
        draw_estimate(gains, where, unseen_gain(record), color=colour)
    losses.set(title="meta-training (one line per seed)", xlabel="step", ylabel="cross-entropy (nats), smoothed")
    lengths.set(title="length of the plateau (triangle: never left)", ylabel="steps")
    lengths.set_ylim(0, 1.1 * records[0].training.steps)
    gains.set(title="final gain on new tasks without bias (95 % intervals)", ylabel="gain in the episode (points)")
    gains.axhline(0, color="#888888", linewidth=0.8, linestyle=":")
    for axes in (lengths, gains):
        axes.set_xticks(range(len(FRACTIONS)), [f"{100 * fraction:.0f} %" for fraction in FRACTIONS])
        axes.set_xlabel("tasks with the shared permutation (one dot per seed)")
    return [save_figure(figure, folder, "bias")]


def findings(records: Records) -> list[str]:
    """The runs with each fraction, and each fraction compared with no bias."""
    lines = []
    for fraction in FRACTIONS:
        if rows := select(records, permutation_bias=fraction):
            lines.append(f"{100 * fraction:.0f} % of the tasks biased: {'; '.join(map(result, rows))}.")
    unbiased = {row.axes["seed"]: row for row in select(records, permutation_bias=0.0)}
    for fraction in FRACTIONS[1:]:
        rows = [row for row in select(records, permutation_bias=fraction) if row.axes["seed"] in unbiased]
        if len(rows) < 2:
            continue
        more = _difference([(row, unbiased[row.axes["seed"]]) for row in rows])
        lines.append(
            f"{100 * fraction:.0f} % biased against no bias: {_on_the_plateau(rows, list(unbiased.values()))}; at the "
            f"end the gain on new tasks differs by {more} points (paired by seed, n = {len(rows)})."
        )
    return lines


def _on_the_plateau(biased: Records, unbiased: Records) -> str:
    """How many runs without bias were still on the plateau when the last biased run left it."""
    stayed = sum(row.training.plateau_end is None for row in biased)
    if stayed:
        return f"{stayed} of {len(biased)} biased runs never left the plateau"
    last = max(map(_length, biased))
    others = sum(_length(row) > last for row in unbiased)
    return (
        f"when the last biased run left the plateau, at step {last:,}, {others} of {len(unbiased)} runs without bias "
        "were still on it"
    )


def _difference(pairs: Sequence[tuple[TrialRecord, TrialRecord]]) -> str:
    """By how much the gain on new tasks of each pair's first run exceeds the other's: mean and Student's interval."""
    return points(seed_interval([unseen_gain(a).mean - unseen_gain(b).mean for a, b in pairs]))


def result(record: TrialRecord) -> str:
    """When the plateau ended, and the final gain on new tasks without bias."""
    end = record.training.plateau_end
    left = f"not left within {record.training.steps:,} steps" if end is None else f"left at step {end:,}"
    return f"{left}, gain on new tasks {points(unseen_gain(record))}"
