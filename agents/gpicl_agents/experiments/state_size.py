"""State size: is it the state or the number of parameters that predicts learning (Kirsch et al. 2022)?

Beside a scatter of architectures, the ablation that the paper lacks: parameters fixed, state varied; and the converse.

| series | what is varied | parameters |
|---|---|---|
| window | how many of its last tokens a Transformer of one layer reads | the same |
| heads | gated DeltaNet splits a width of 128 over H heads: state 128²/H | 2 % more at 16 heads than at one |
| rank | of the outer products' memory, 128 × R | the same |
| units | of an LSTM with tied weights | the same |
| MLP | width of gated DeltaNet's MLP, which is no part of the state | 94,000 to 612,000, the state the same |

The learners are the same small ones at both scales; the problem and the training are not. At small scale an LSTM with
tied weights has ten times the steps of all others, since it learns slowly; where the learning rates come from, and what
was tried, is in docs/research-log.md (2026-11-25).
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gpicl_agents.diagnosis import UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import keep
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.report.figures import PALETTE, panels

ALL, WINDOW, HEADS = "architectures", "window of attention", "heads of gated DeltaNet"
RANK, UNITS = "rank of outer products", "units of an LSTM with tied weights"
MLP = "MLP of gated DeltaNet"
SERIES = (ALL, WINDOW, HEADS, RANK, UNITS, MLP)
COLOURS = {WINDOW: PALETTE[0], HEADS: PALETTE[2], RANK: PALETTE[4], UNITS: PALETTE[5]}
BLACK_BOXES: dict[str, dict[str, Any]] = {
    "transformer": settings.SMALL.transformer,
    "linear-attention": {"width": 128},
    "gated-deltanet": {"width": 128},
    "selective-ssm": {"width": 128},
    "outer-product-lstm": {"width": 128},
    "lstm": {"width": 256, "input_rank": 32},
    "gru": {"width": 256, "input_rank": 32},
    "memoryless-mlp": {"width": 256},
}
ORDERS = 9999  # random orders of the architectures, for the p-value of a rank correlation
RATES = {"transformer": 6e-3, "lstm": 2e-3, "outer-product-lstm": 3e-3}  # small scale; 4e-3 for all others


def _trial(
    series: str, learner: str, varied: dict[str, Any], arguments: dict[str, Any], scale: str, seed: int
) -> Trial:
    setting = settings.SETTINGS[scale]
    steps = 4000 if series == UNITS else 400
    changes: dict[str, Any] = {"steps": steps, "learning_rate": RATES.get(learner, 4e-3)} if scale == "small" else {}
    return Trial(
        axes={"series": series, "learner": learner, **varied, "seed": seed},
        learner=learner,
        arguments=arguments | varied | {"seed": seed},
        tasks=setting.tasks,
        training=setting.training | changes | {"seed": seed},
        batch_size=setting.batch_size,
        questions=(settings.unseen(),),
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    """The longest first, so that no core waits for it at the end."""
    one_layer = settings.SMALL.transformer | {"n_layers": 1}
    varied: tuple[tuple[str, str, dict[str, Any], str, tuple[int, ...]], ...] = (
        (UNITS, "tied-lstm", {"width": 64, "input_rank": 32}, "n_units", (256, 128, 64)),
        (RANK, "outer-product-lstm", {"width": 128}, "rank", (4, 16, 64, 128)),
        (WINDOW, "transformer", one_layer, "window", (4, 16, 32, 64, 100)),
        (HEADS, "gated-deltanet", {"width": 128}, "n_heads", (1, 4, 16)),
        (MLP, "gated-deltanet", {"width": 128}, "mlp_width", (32, 256, 2048)),
    )
    found = []
    for seed in range(seeds):
        for series, learner, given, argument, values in varied:
            found += [_trial(series, learner, {argument: value}, given, scale, seed) for value in values]
        found += [_trial(ALL, name, {}, given, scale, seed) for name, given in BLACK_BOXES.items()]
    return found


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Gain on unseen tasks against state size and against parameters; the series where only one of them varies.

    A dot is a trial; the lines of the series join the means over seeds.
    """
    figure, (by_state, by_parameters, fixed_parameters, fixed_state) = panels(4, across=2, width=7.0)
    architectures = [record for record in records if record["axes"]["series"] == ALL]
    for axes, size in ((by_state, "state_size"), (by_parameters, "n_parameters")):
        for record in architectures:
            _point(axes, record, size, _colour(record["axes"]["learner"]), record["learner"])
    for series, colour in COLOURS.items():
        rows = [record for record in records if record["axes"]["series"] == series]
        _line(fixed_parameters, rows, "state_size", colour)
    _line(fixed_state, [record for record in records if record["axes"]["series"] == MLP], "n_parameters", PALETTE[8])
    state, parameters = "state size (numbers, after 99 examples)", "parameters"
    by_state.set(title="architectures", xlabel=state)
    by_parameters.set(title="architectures", xlabel=parameters)
    fixed_parameters.set(title="parameters equal within 2 %, state varied", xlabel=state)
    fixed_state.set(title="state equal, parameters varied", xlabel=parameters)
    for axes in (by_state, by_parameters, fixed_parameters, fixed_state):
        axes.set(xscale="symlog" if axes is by_state else "log", ylim=(-10, 80), ylabel="gain on unseen tasks (points)")
    return keep(figure, folder, "state-size")


def _line(axes: Any, rows: Sequence[Record], varied: str, colour: str) -> None:
    """The trials of a series, joined through the means over seeds."""
    gains: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda row: row[varied]):
        gains.setdefault(row[varied], []).append(100 * row["answers"][UNSEEN]["gain"][0])
        _point(axes, row, varied, colour, f"{row['axes']['series']}, {row['steps']:,} steps")
    axes.plot(list(gains), [np.mean(values) for values in gains.values()], color=colour, linewidth=1.0)


def _colour(learner: str) -> str:
    return PALETTE[list(BLACK_BOXES).index(learner) % len(PALETTE)]


def _point(axes: Any, record: Record, size: str, colour: str, label: str) -> None:
    """A trial with its 95 % interval."""
    mean, low, high = (100 * value for value in record["answers"][UNSEEN]["gain"])
    error = [[mean - low], [high - mean]]
    axes.errorbar(record[size], mean, error, fmt="o", color=colour, markersize=5, capsize=2, label=label)


def findings(records: Sequence[Record]) -> list[str]:
    """What goes with the gain over architectures; each one's gain by falling state, and each series' alike."""
    lines = _correlations([record for record in records if record["axes"]["series"] == ALL])
    for series in SERIES:
        rows = [record for record in records if record["axes"]["series"] == series]
        rows.sort(key=lambda row: (-row["state_size"], row["n_parameters"] if series == MLP else 0))
        if not rows:
            continue
        seeds: dict[str, list[str]] = {}
        for row in rows:
            size = f"{row['n_parameters']:,} parameters" if series == MLP else f"state {row['state_size']:,}"
            seeds.setdefault(f"{_what(row)} ({size})", []).append(line(row))
        told = "; ".join(f"{what}: {' and '.join(results)}" for what, results in seeds.items())
        order = "at one state, by parameters" if series == MLP else "by falling state"
        lines.append(f"{series[0].upper()}{series[1:]}, {order}, one value a seed: {told}.")
    return lines


def _correlations(records: Sequence[Record]) -> list[str]:
    """Spearman's rank correlation of the architectures' gains (means over seeds) with state and with parameters."""
    learners = sorted({record["learner"] for record in records})
    if len(learners) < 5:
        return []
    rows = [[record for record in records if record["learner"] == learner] for learner in learners]
    gains = _ranks([float(np.mean([row["answers"][UNSEEN]["gain"][0] for row in same])) for same in rows])
    orders = np.random.default_rng(0).permuted(np.tile(gains, (ORDERS, 1)), axis=1)
    told = []
    for title, size in (("size of the state", "state_size"), ("number of parameters", "n_parameters")):
        sizes = _ranks([same[0][size] for same in rows])
        found, by_chance = gains @ sizes, orders @ sizes
        p = (1 + np.sum(np.abs(by_chance) > abs(found) - 1e-9)) / (1 + ORDERS)
        fewer = [list(kept) for kept in combinations(range(len(learners)), len(learners) - 2)]
        without = [stats.spearmanr(gains[kept], sizes[kept]).statistic for kept in fewer]
        spread = f"without any two of them {min(without):+.2f} to {max(without):+.2f}"
        told.append(f"with the {title} {found:+.2f} (p = {p:.3f}; {spread})")
    return [f"Rank correlation of the gain over {len(learners)} architectures: {', '.join(told)}."]


def _ranks(values: Sequence[float]) -> Any:
    """Ranks, of mean 0 and norm 1: the product of two such is Spearman's correlation."""
    ranks = stats.rankdata(values) - (len(values) + 1) / 2
    return ranks / np.linalg.norm(ranks)


def _what(record: Record) -> str:
    varied = {key: value for key, value in record["axes"].items() if key not in ("series", "learner", "seed")}
    return ", ".join([record["axes"]["learner"], *(f"{key}={value}" for key, value in varied.items())])


def line(record: Record) -> str:
    """The gain within the episode on unseen tasks, with its interval."""
    return "gain {:+.0f} [{:+.0f}, {:+.0f}]".format(*(100 * value for value in record["answers"][UNSEEN]["gain"]))


EXPERIMENT = Experiment(
    name="state-size",
    title="State size and learning",
    question=(
        "How much accuracy is gained within an episode of unseen tasks, against the numbers that the last prediction "
        "can read (the state) and against the number of parameters? The paper: the state predicts learning, parameters "
        "do not. Ours adds what it lacks: parameters fixed (within 2 %) and the state varied, by the window of "
        "attention of a Transformer of one layer, the heads of gated DeltaNet, the rank of the outer products that an "
        "LSTM stores, and the units of an LSTM with tied weights; and the state fixed, with more or fewer parameters "
        "in gated DeltaNet's MLP."
    ),
    scales={"small": lambda: _trials("small", 2), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
