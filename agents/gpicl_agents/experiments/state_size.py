"""State size and learning.

How much does accuracy rise within an episode of unseen tasks, by the number of values that the last prediction can read
(the state) and by the number of parameters? According to the paper (Kirsch et al. 2022), state size predicts learning
and the number of parameters does not. Besides comparing architectures, we add what the paper lacks: parameters fixed
while the state varies, and the converse.

| series | what is varied | parameters |
|---|---|---|
| window | how many of its last tokens a Transformer of one layer reads | the same |
| heads | gated DeltaNet splits a width of 128 over H heads: state 128²/H | 2 % more at 16 heads than at one |
| rank | of the outer products that an LSTM stores, 128 × R | the same |
| units | of an LSTM with tied weights | the same |
| MLP | width of gated DeltaNet's MLP, which is not part of the state | 94,000 to 612,000, the state the same |

The learners are the same small ones at both scales. At small scale an LSTM with tied weights is trained for ten times
as many steps as the others, since it learns slowly.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from gpicl_agents.evaluations import unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import points, select, unseen_gain
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.report.figures import PALETTE, panels

ALL, WINDOW, HEADS = "architectures", "window of attention", "heads of gated DeltaNet"
RANK, UNITS = "rank of outer products", "units of an LSTM with tied weights"
MLP = "MLP of gated DeltaNet"
SERIES = (ALL, WINDOW, HEADS, RANK, UNITS, MLP)
COLOURS = {WINDOW: PALETTE[0], HEADS: PALETTE[2], RANK: PALETTE[4], UNITS: PALETTE[5]}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "transformer": settings.SMALL.transformer,
    "linear-attention": {"width": 128},
    "gated-deltanet": {"width": 128},
    "selective-ssm": {"width": 128},
    "outer-product-lstm": {"width": 128},
    "lstm": {"width": 256, "input_rank": 32},
    "gru": {"width": 256, "input_rank": 32},
    "memoryless-mlp": {"width": 256},
}
PERMUTATIONS = 9999  # of the architectures, for the p-value of a rank correlation
# Learning rates at small scale, 4e-3 for all others; docs/research-log.md has what was tried.
RATES = {"transformer": 6e-3, "lstm": 2e-3, "outer-product-lstm": 3e-3}


def trials(scale: str) -> list[Trial]:
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
    for seed in range(settings.SEEDS[scale]):
        for series, learner, fixed, argument, values in varied:
            found += [_trial(series, learner, {argument: value}, fixed, scale, seed) for value in values]
        found += [_trial(ALL, learner, {}, kwargs, scale, seed) for learner, kwargs in ARCHITECTURES.items()]
    return found


def _trial(series: str, learner: str, varied: dict[str, Any], fixed: dict[str, Any], scale: str, seed: int) -> Trial:
    changes = {"steps": 4000 if series == UNITS else 400, "learning_rate": RATES.get(learner, 4e-3)}
    return settings.SETTINGS[scale].trial(
        {"series": series, "learner": learner, **varied, "seed": seed},
        [unseen_tasks()],
        learner=learner,
        learner_kwargs=fixed | varied,
        train_kwargs=changes if scale == "small" else {},
    )


def draw(records: Records, folder: Path) -> list[str]:
    """Gain on unseen tasks against state size and number of parameters; the series in which only one of them varies.

    A dot is a trial; the lines of the series join the means over seeds.
    """
    figure, grid = panels(4, across=2, width=7.0)
    by_state, by_parameters, fixed_parameters, fixed_state = grid
    colours = dict(zip(ARCHITECTURES, PALETTE, strict=False))
    for record in select(records, series=ALL):
        for axes, size in ((by_state, record.state_size), (by_parameters, record.n_parameters)):
            draw_estimate(axes, size, unseen_gain(record), color=colours[record.axes["learner"]], label=record.learner)
    for series, colour in COLOURS.items():
        _draw_line(fixed_parameters, select(records, series=series), "state_size", colour)
    _draw_line(fixed_state, select(records, series=MLP), "n_parameters", PALETTE[8])
    state, parameters = "state size (numbers, after 99 examples)", "parameters"
    by_state.set(title="architectures", xlabel=state)
    by_parameters.set(title="architectures", xlabel=parameters)
    fixed_parameters.set(title="parameters equal within 2 %, state varied", xlabel=state)
    fixed_state.set(title="state equal, parameters varied", xlabel=parameters)
    for axes in grid:
        axes.set(xscale="symlog" if axes is by_state else "log", ylim=(-10, 80), ylabel="gain on unseen tasks (points)")
    return [save_figure(figure, folder, "state-size")]


def _draw_line(axes: Any, rows: Records, varied: str, colour: str) -> None:
    """The trials of a series, with a line through the means over seeds."""
    gains: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda row: getattr(row, varied)):
        size, label = getattr(row, varied), f"{row.axes['series']}, {row.training.steps:,} steps"
        gains.setdefault(size, []).append(100 * unseen_gain(row).mean)
        draw_estimate(axes, size, unseen_gain(row), color=colour, label=label)
    axes.plot(list(gains), [np.mean(values) for values in gains.values()], color=colour, linewidth=1.0)


def findings(records: Records) -> list[str]:
    """What the gain correlates with over architectures; then the gains of each series, in order of what it varies."""
    lines = _correlations(select(records, series=ALL))
    for series in SERIES:
        rows = select(records, series=series)
        rows.sort(key=lambda row: (-row.state_size, row.n_parameters if series == MLP else 0))
        if not rows:
            continue
        by_size: dict[str, list[str]] = {}
        for row in rows:
            size = f"{row.n_parameters:,} parameters" if series == MLP else f"state {row.state_size:,}"
            by_size.setdefault(f"{_what(row)} ({size})", []).append(result(row))
        gains = "; ".join(f"{what}: {' and '.join(results)}" for what, results in by_size.items())
        order = "all with the same state, fewest parameters first" if series == MLP else "largest state first"
        lines.append(f"{series[0].upper()}{series[1:]}, {order}, one value per seed: {gains}.")
    return lines


def _correlations(records: Records) -> list[str]:
    """Spearman's rank correlation of the architectures' gains (means over seeds) with state size and parameters."""
    learners = sorted({record.learner for record in records})
    if len(learners) < 5:
        return []
    rows = [[record for record in records if record.learner == learner] for learner in learners]
    gains = _ranks([float(np.mean([unseen_gain(record).mean for record in same])) for same in rows])
    permuted = np.random.default_rng(0).permuted(np.tile(gains, (PERMUTATIONS, 1)), axis=1)
    found = []
    for title, size in (("state size", "state_size"), ("number of parameters", "n_parameters")):
        sizes = _ranks([getattr(same[0], size) for same in rows])
        correlation, by_chance = gains @ sizes, permuted @ sizes
        p = (1 + np.sum(np.abs(by_chance) > abs(correlation) - 1e-9)) / (1 + PERMUTATIONS)
        fewer = [list(kept) for kept in combinations(range(len(learners)), len(learners) - 2)]
        without = [stats.spearmanr(gains[kept], sizes[kept]).statistic for kept in fewer]
        spread = f"without any two of them {min(without):+.2f} to {max(without):+.2f}"
        found.append(f"with {title} {correlation:+.2f} (p = {p:.3f}; {spread})")
    return [f"Rank correlation of the gain over {len(learners)} architectures: {', '.join(found)}."]


def _ranks(values: Sequence[float]) -> Any:
    """Ranks of mean 0 and norm 1: the product of two such is Spearman's correlation."""
    ranks = stats.rankdata(values) - (len(values) + 1) / 2
    return ranks / np.linalg.norm(ranks)


def _what(record: TrialRecord) -> str:
    varied = [f"{axis}={value}" for axis, value in record.axes.items() if axis not in ("series", "learner", "seed")]
    return ", ".join([record.axes["learner"], *varied])


def result(record: TrialRecord) -> str:
    """The gain within an episode of unseen tasks, with its interval."""
    return f"gain {points(unseen_gain(record), decimals=0)}"
