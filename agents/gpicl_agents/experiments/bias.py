"""Bias: a share of the meta-training tasks has one and the same permutation of labels; does the plateau end sooner?

The tokens are the paper's, which stay on the plateau longest. All runs have the same budget of steps; the plateau is
that of a run's own tasks (`training.plateau.Plateau`). With a bias one could do well on those in another way, so each
run is evaluated, while it trains and in the end, on new tasks without bias.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from gpicl_agents.diagnosis import UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import keep
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels

SHARES = (0.0, 0.5, 0.9, 0.95)
# Ten classes in episodes of 100 stay on the plateau for longer than minutes; five classes in 20 leave it within them.
SMALL = settings.Setting(
    tasks=settings.SMALL.tasks | {"n_classes": 5, "length": 20},
    transformer=settings.SMALL.transformer | {"tokens": "paper"},
    training=settings.SMALL.training
    | {"steps": 1500, "learning_rate": 3e-3, "schedule": "constant", "evaluate_every": 100},
    batch_size=64,
)
PAPER = replace(settings.PAPER, training=settings.PAPER.training | {"evaluate_every": 1000})
SETTINGS = {"small": SMALL, "paper": PAPER}


def _trial(share: float, seed: int, scale: str) -> Trial:
    setting = SETTINGS[scale]
    return Trial(
        axes={"permutation_bias": share, "seed": seed},
        learner="transformer",
        arguments=setting.transformer | {"seed": seed},
        tasks=setting.tasks | {"permutation_bias": share, "task_seed": seed},
        training=setting.training | {"evaluate_episodes": 512, "seed": seed},
        batch_size=setting.batch_size,
        questions=(settings.unseen(4096),),
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    return [_trial(share, seed, scale) for share in SHARES for seed in range(seeds)]


def _length(record: Record) -> int:
    """Steps on the plateau; the budget for a run that never left it."""
    return int(record["left_chance"] or record["steps"])


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Losses; lengths of the plateau by share; and what new tasks without bias gain in the end."""
    figure, (losses, lengths, gains) = panels(3)
    for record in records:
        share = record["axes"]["permutation_bias"]
        colour, label = PALETTE[SHARES.index(share)], f"{share:.0%} biased"
        losses.plot(*_smooth(record["losses"]), color=colour, linewidth=0.9, alpha=0.8, label=label)
        left = record["left_chance"] is not None
        where = SHARES.index(share) + 0.08 * (record["axes"]["seed"] - 1.5)
        face = colour if left else "none"
        lengths.scatter([where], [_length(record)], marker="o" if left else "^", facecolor=face, edgecolor=colour)
        mean, low, high = (100 * value for value in record["answers"][UNSEEN]["gain"])
        gains.errorbar(where, mean, [[mean - low], [high - mean]], fmt="o", color=colour, markersize=4, capsize=2)
    losses.set(title="meta-training (a line a seed)", xlabel="step", ylabel="cross-entropy (nats), running mean")
    lengths.set(
        title="length of the plateau (triangle: never left)", ylabel="steps", ylim=(0, 1.1 * records[0]["steps"])
    )
    gains.set(title="in the end: new tasks without bias (95 % intervals)", ylabel="gain in the episode (points)")
    gains.axhline(0, color="#888888", linewidth=0.8, linestyle=":")
    for axes in (lengths, gains):
        axes.set_xticks(range(len(SHARES)), [f"{share:.0%}" for share in SHARES])
        axes.set_xlabel("share of tasks with the fixed permutation (a dot a seed)")
    return keep(figure, folder, "bias")


def _smooth(losses: Sequence[Sequence[float]], stretch: int = 5) -> tuple[list[float], list[float]]:
    """Steps and losses, each the mean over a stretch of neighbours."""
    parts = np.array_split(np.array(losses), max(1, len(losses) // stretch))
    return [float(part[-1, 0]) for part in parts], [float(part[:, 1].mean()) for part in parts]


def findings(records: Sequence[Record]) -> list[str]:
    """The lengths for each share, who was on the plateau when the biased had left it, and what new tasks gain."""
    lines = []
    by_share = {share: [r for r in records if r["axes"]["permutation_bias"] == share] for share in SHARES}
    for share, rows in by_share.items():
        if rows:
            lines.append(f"{share:.0%} of the tasks biased: {'; '.join(line(row) for row in rows)}.")
    plain = {row["axes"]["seed"]: row for row in by_share[0.0]}
    for share in SHARES[1:]:
        rows = [row for row in by_share[share] if row["axes"]["seed"] in plain]
        if len(rows) < 2:
            continue
        ended = _still_there(rows, list(plain.values()))
        more = _difference([(row, plain[row["axes"]["seed"]]) for row in rows])
        paired = f"paired by {len(rows)} seeds, new tasks gain {more} in the end"
        lines.append(f"{share:.0%} biased against no bias: {ended}; {paired}.")
    return lines


def _still_there(biased: Sequence[Record], plain: Sequence[Record]) -> str:
    """How many runs without bias were on the plateau when the last of the biased had left it."""
    stayed = sum(row["left_chance"] is None for row in biased)
    if stayed:
        return f"{stayed} of {len(biased)} biased runs never left it"
    last = max(_length(row) for row in biased)
    others = sum(_length(row) > last for row in plain)
    return f"when the last of them had left, at step {last:,}, {others} of {len(plain)} without bias were still on it"


def _difference(pairs: Sequence[tuple[Record, Record]]) -> str:
    """How much more new tasks gain in the first run of each pair: the mean, with Student's 95 % interval."""
    differences = [100 * (a["answers"][UNSEEN]["gain"][0] - b["answers"][UNSEEN]["gain"][0]) for a, b in pairs]
    error = np.std(differences, ddof=1) / len(differences) ** 0.5
    reach = error * stats.t.ppf(0.975, len(differences) - 1)
    mean = np.mean(differences)
    return f"{mean:+.1f} [{mean - reach:+.1f}, {mean + reach:+.1f}] points more"


def line(record: Record) -> str:
    """When the plateau ended, and what new tasks without bias gain in the end."""
    left = record["left_chance"]
    ended = f"not left within {record['steps']:,} steps" if left is None else f"left at step {left:,}"
    gain = (100 * value for value in record["answers"][UNSEEN]["gain"])
    return ended + ", new tasks gain {:+.1f} [{:+.1f}, {:+.1f}]".format(*gain)


EXPERIMENT = Experiment(
    name="bias",
    title="The plateau of the paper's tokens and a bias of the tasks",
    question=(
        "With the paper's tokens nothing is gained inside an episode for long. Does the plateau end sooner if a share "
        "of the meta-training tasks has one and the same permutation of labels (the projections stay random)? All runs "
        "have the same budget; in the end they are asked new tasks without bias."
    ),
    scales={"small": lambda: _trials("small", 4), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
