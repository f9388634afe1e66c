"""Bias: a share of the meta-training tasks has one and the same permutation of labels; does the plateau end sooner?

The tokens are the paper's, which stay on the plateau longest. What is watched are new tasks without any bias, the same
for all runs: how well a biased learner does on its own biased tasks would not tell whether it learns.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from gpicl_agents.experiments import standard
from gpicl_agents.experiments.experiment import Experiment, Record
from gpicl_agents.experiments.trial import Trial
from gpicl_agents.verdict import UNSEEN
from gpicl_agents.watch import Plateau
from gpicl_envs.metrics import LAST
from gpicl_envs.report.figures import PALETTE, panels, save

SHARES = (0.0, 0.5, 0.9, 0.95)
# Ten classes in episodes of 100 stay on the plateau for longer than minutes; five classes in 20 leave it within them.
SMALL = standard.Setting(
    tasks=standard.SMALL.tasks | {"n_classes": 5, "length": 20},
    transformer=standard.SMALL.transformer | {"tokens": "paper"},
    training=standard.SMALL.training
    | {"steps": 1500, "learning_rate": 3e-3, "schedule": "constant", "evaluate_every": 100},
    batch_size=64,
)
PAPER = replace(standard.PAPER, training=standard.PAPER.training | {"evaluate_every": 1000})
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
        questions=(standard.unseen(4096),),
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    return [_trial(share, seed, scale) for share in SHARES for seed in range(seeds)]


def _finals(record: Record) -> list[tuple[int, float]]:
    """(step, accuracy over the last ten positions of new tasks without bias) on the way."""
    return [(entry["step"], float(np.mean(entry["unseen"][-LAST:]))) for entry in record["history"]]


def _chance(record: Record) -> float:
    return 1 / SETTINGS[record["scale"]].tasks.get("n_classes", 10)


def left_plateau(record: Record) -> int | None:
    """The first step from which on new tasks are answered better than chance by ten points or more; None if never."""
    left = None
    for step, final in _finals(record):
        if final < _chance(record) + Plateau.MARGIN:
            left = None
        elif left is None:
            left = step
    return left


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Accuracy on new tasks without bias against steps; and at the end, against the share of biased tasks."""
    figure, (way, end) = panels(2)
    for record in records:
        share = record["axes"]["permutation_bias"]
        colour = PALETTE[SHARES.index(share)]
        steps, finals = zip(*_finals(record), strict=True)
        way.plot(steps, 100 * np.array(finals), color=colour, linewidth=1.1, label=f"{share:.0%} biased")
        mean, low, high = (100 * value for value in record["answers"][UNSEEN]["final"])
        end.errorbar(share, mean, [[mean - low], [high - mean]], fmt="o", color=colour, markersize=4, capsize=2)
    chance = 100 * _chance(records[0])
    for axes in (way, end):
        axes.axhline(chance, color="#888888", linewidth=0.8, linestyle=":", label="chance")
        ended = chance + 100 * Plateau.MARGIN
        axes.axhline(ended, color="#888888", linewidth=0.8, linestyle="--", label="end of the plateau")
        axes.set_ylabel(f"last {LAST} of new unbiased tasks (%)")
    way.set(title="on the way (a line a seed, 512 episodes)", xlabel="meta-training step")
    end.set(title="at the end (4,096 episodes, 95 % interval)", xlabel="share of tasks with the fixed permutation")
    save(figure, [folder / "bias.png", folder / "bias.svg"])
    return ["bias.png", "bias.svg"]


def findings(records: Sequence[Record]) -> list[str]:
    """For each share, when the plateau ended and how well new tasks are answered at the end."""
    lines = []
    for share in SHARES:
        rows = [record for record in records if record["axes"]["permutation_bias"] == share]
        if rows:
            lines.append(f"{share:.0%} of the tasks biased: {'; '.join(line(row) for row in rows)}.")
    for share in SHARES[1:]:
        gained = [_final(records, share, seed) - _final(records, 0.0, seed) for seed in _seeds(records, share)]
        if len(gained) > 1:
            reach = student.ppf(0.975, len(gained) - 1) * np.std(gained, ddof=1) / len(gained) ** 0.5
            mean = float(np.mean(gained))
            points = "{:+.1f} points [{:+.1f}, {:+.1f}]".format(*(100 * v for v in (mean, mean - reach, mean + reach)))
            lines.append(
                f"At the end {share:.0%} biased minus unbiased, paired by {len(gained)} seeds: {points} (Student's "
                "interval over seeds)."
            )
    return lines


def _seeds(records: Sequence[Record], share: float) -> list[int]:
    """Seeds of which there is a run with this share and one without bias."""
    found = {(record["axes"]["permutation_bias"], record["axes"]["seed"]) for record in records}
    return sorted(seed for given, seed in found if given == share and (0.0, seed) in found)


def _final(records: Sequence[Record], share: float, seed: int) -> float:
    (row,) = (r for r in records if r["axes"] == {"permutation_bias": share, "seed": seed})
    return float(row["answers"][UNSEEN]["final"][0])


def line(record: Record) -> str:
    """When new tasks were first answered better than chance, and how well at the end."""
    left = left_plateau(record)
    ended = f"on the plateau at step {record['steps']:,}" if left is None else f"off the plateau at step {left:,}"
    percent = (100 * value for value in record["answers"][UNSEEN]["final"])
    return ended + ", in the end {:.1f} % [{:.1f}, {:.1f}]".format(*percent)


EXPERIMENT = Experiment(
    name="bias",
    title="The plateau of the paper's tokens and a bias of the tasks",
    question=(
        "With the paper's tokens nothing is learned inside an episode for long. Does the plateau end sooner if a share "
        "of the meta-training tasks has one and the same permutation of labels (the projections stay random)? All runs "
        "have the same budget of steps and are asked the same new tasks without bias; a plateau ends at the step from "
        f"which on the last {LAST} examples are answered better than chance by {100 * Plateau.MARGIN:.0f} points."
    ),
    scales={"small": lambda: _trials("small", 4), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
