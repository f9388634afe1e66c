"""Induction: which heads form when learning to learn begins.

With the paper's tokens, an input and its label lie in successive tokens, and a Transformer needs two heads to use an
earlier example: one that reads the previous token, in one layer, and in a later one an induction head, which reads the
labels of the examples that are like the new one. Olsson et al. 2022 (arXiv:2209.11895) find that induction heads form
in the same short part of training as in-context learning, only in models of at least two layers, and that in small
models in-context learning is lost without them; Reddy 2024 (arXiv:2312.03002) finds the same in classification, where
both heads form abruptly, one after the other. With paired tokens an example and its label share a token: the first of
the two heads is then not needed.

The tasks are random projections of Clusters. Each of eight classes occurs twice in an episode before the last example,
the query, which is of one of them; their labels are drawn among 16. `LxHy` is head y of layer x, both counted from 0.
Masses of attention are means over the last ten positions. A head is ablated by setting what it has read to zero. The
last figure shows what two heads of the first model read in an episode of new tasks, whose inputs are drawn as 8 × 8
pixels, and in one of handwritten digits, which it has never seen: row n is where the label of image n is predicted,
column i is the token that holds image i and label i − 1, and labels of the right class are framed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import unseen_dataset, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import at_query, percent, select
from gpicl_agents.experiments.engine.observation import without
from gpicl_agents.experiments.engine.plots import draw_estimate, draw_reading, save_figure
from gpicl_agents.experiments.engine.trial import EQUAL, PREVIOUS, SAME_CLASS, Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import PALETTE, panels

CLUSTERS = {"dataset": "Clusters", "n_clusters": 64, "active_classes": 64, "within_class_noise": 0.2, "n_classes": 16}
EPISODES: dict[str, Any] = {"length": 17, "burstiness": 2}
DIGITS: dict[str, Any] = {
    "n_clusters": 10,
    "active_classes": 10,
    "within_class_noise": 1.0,
    "image_size": 14,
    "burstiness": 4,
}
SMALL = settings.Setting(
    env_kwargs=CLUSTERS | EPISODES | {"n_features": 128},
    transformer={"width": 64, "n_heads": 2, "mlp_width": 128, "input_rank": 0, "max_length": 17},
    train_kwargs=settings.SMALL.train_kwargs
    | {"steps": 1500, "learning_rate": 3e-3, "schedule": "constant", "evaluate_every": 50, "evaluate_episodes": 128},
    batch_size=64,
)
PAPER = replace(
    settings.PAPER,
    env_kwargs=CLUSTERS | EPISODES | {"n_features": 784},
    train_kwargs=settings.PAPER.train_kwargs | {"evaluate_every": 500, "evaluate_episodes": 512},
)
SETTINGS = {"small": SMALL, "paper": PAPER}
KINDS = (("paper", 2), ("paper", 1), ("paired", 2))  # tokens and layers
SEEDS = {("paper", 2): 4, ("paper", 1): 2, ("paired", 2): 2}
HALF = 0.5  # of a rise


def trials(scale: str) -> list[Trial]:
    """Every kind of model, with every seed."""
    setting = SETTINGS[scale]
    inspected, digits = unseen_tasks(), unseen_dataset("MNIST", **DIGITS)
    shown = (replace(inspected, name="Clusters"), digits)
    return [
        setting.trial(
            {"tokens": tokens, "layers": layers, "seed": seed},
            [digits],
            learner_kwargs=setting.transformer | {"tokens": tokens, "n_layers": layers},
            env_kwargs={"task_seed": seed},
            inspected=inspected,
            shown=shown if seed == 0 else (),
        )
        for tokens, layers in KINDS
        for seed in range(SEEDS[tokens, layers])
    ]


def draw(records: Records, folder: Path) -> list[str]:
    """Accuracy and masses against steps, and ablations; then what two heads read in one episode."""
    drawn = [kind for kind in KINDS if _of(records, kind)]
    figure, grid = panels(4 * len(drawn), across=len(drawn), width=4.6)
    for column, kind in enumerate(drawn):
        rows = _of(records, kind)
        title = f"{kind[0]} tokens, {kind[1]} layer{'s' if kind[1] > 1 else ''} ({len(rows)} seeds, a line each)"
        accuracy, same, previous, ablations = grid[column :: len(drawn)]
        accuracy.set(title=title, ylabel="accuracy on the query (%)", ylim=(0, 103))
        for record in rows:
            accuracy.plot(*_curve(record), color="#444444", linewidth=1.1)
            _mark_plateau_end((accuracy, same, previous), record)
            for axes, mass in ((same, SAME_CLASS), (previous, PREVIOUS)):
                _draw_masses(axes, record, mass)
        same.axhline(_last(rows[0], EQUAL)[0][0].mean, color="#444444", linestyle=":", label="equal attention")
        same.set(ylabel="attention to the same class", ylim=(0, 1))
        previous.set(ylabel="attention to the previous example", ylim=(0, 1))
        for axes in (accuracy, same, previous):
            axes.set(xlabel="meta-training step")
        _draw_ablations(ablations, rows)
    shown = [record for record in records if record.inspections]
    found = [save_figure(figure, folder, "induction")]
    return found + ([_draw_episodes(shown[0], folder)] if shown else [])


def _of(records: Records, kind: tuple[str, int]) -> list[TrialRecord]:
    return select(records, tokens=kind[0], layers=kind[1])


def _curve(record: TrialRecord) -> tuple[list[int], list[float]]:
    """Steps, and the accuracy on the query in %."""
    history = record.training.history
    return [stage.step for stage in history], [100 * stage.accuracy[UNSEEN_TASK][-1] for stage in history]


def _last(record: TrialRecord, mass: str) -> list[list[Estimate]]:
    return record.training.history[-1].attention[mass]


def _mark_plateau_end(grid: Sequence[Any], record: TrialRecord) -> None:
    """A line where accuracy first rose within episodes of meta-training."""
    for axes in grid:
        if record.training.plateau_end is not None:
            axes.axvline(record.training.plateau_end, color="#bbbbbb", linewidth=0.9, label="the plateau ends")


def _draw_masses(axes: Any, record: TrialRecord, mass: str) -> None:
    """A line for each head, in the colour of its layer."""
    steps, _ = _curve(record)
    for layer, head in _heads(record):
        values = [stage.attention[mass][layer][head].mean for stage in record.training.history]
        axes.plot(steps, values, color=PALETTE[layer], linewidth=1.1, label=f"a head of layer {layer}")


def _heads(record: TrialRecord) -> list[tuple[int, int]]:
    """All (layer, head)."""
    return [(layer, head) for layer, heads in enumerate(_last(record, SAME_CLASS)) for head in range(len(heads))]


def _draw_ablations(axes: Any, rows: Records) -> None:
    """Accuracy on the query of the whole model and without each head, a dot for each seed."""
    layers = sorted({layer for layer, _ in _heads(rows[0])})
    conditions = [without(), *(without(*head) for head in _heads(rows[0])), *map(without, layers)]
    for i, record in enumerate(rows):
        for place, name in enumerate(conditions):
            where = place + 0.15 * (i - (len(rows) - 1) / 2)
            draw_estimate(axes, where, at_query(record.results[name]), color=PALETTE[i + 2], label=f"seed {i}")
    axes.set_xticks(range(len(conditions)), [name.replace("without ", "no ") for name in conditions], fontsize=8)
    axes.set(ylabel="accuracy on the query (%), 95 % interval", ylim=(0, 103))


def _draw_episodes(record: TrialRecord, folder: Path) -> str:
    """What the heads with the largest masses read, a row for each episode."""
    figure, grid = panels(2 * len(record.inspections), across=2, width=8.2)
    figure.set_figheight(8.4 * len(record.inspections))
    panel = iter(grid)
    for inspection in record.inspections:
        for mass in (PREVIOUS, SAME_CLASS):
            layer, head = _strongest(record, mass)
            axes = next(panel)
            draw_reading(axes, inspection, layer, head)
            axes.set_title(f"{inspection.name}: L{layer}H{head}, most attention to the {mass}")
    return save_figure(figure, folder, "induction-episodes")


def _strongest(record: TrialRecord, mass: str) -> tuple[int, int]:
    """The head that has the largest mass at the end."""
    last = _last(record, mass)
    return max(_heads(record), key=lambda head: last[head[0]][head[1]].mean)


def _half(steps: Sequence[int], values: Sequence[float]) -> int:
    """The first step at which half of the rise from the first value to the largest is reached."""
    level = values[0] + HALF * (max(values) - values[0])
    return next(step for step, value in zip(steps, values, strict=True) if value >= level)


def _formed(record: TrialRecord, mass: str) -> int:
    """The step at which half of the rise of the strongest head's mass is reached."""
    layer, head = _strongest(record, mass)
    history = record.training.history
    return _half([stage.step for stage in history], [stage.attention[mass][layer][head].mean for stage in history])


def findings(records: Records) -> list[str]:
    """In which layers the heads are; for each run, its accuracy, the two heads, and what is left without them."""
    lines = [_layers_in_words(kind, rows) for kind in KINDS if (rows := _of(records, kind))]
    for record in records:
        whole = record.results[without()]
        named = [_head_in_words(record, mass) for mass in (SAME_CLASS, PREVIOUS)]
        two = {_strongest(record, mass) for mass in (SAME_CLASS, PREVIOUS)}
        others = [at_query(record.results[without(*head)]).mean for head in _heads(record) if head not in two]
        rest = f"; without any other head at least {100 * min(others):.1f} %" if others else ""
        lines.append(
            f"{record.trial}: accuracy on the query {percent(at_query(whole))}, half of the rise by step "
            f"{_half(*_curve(record)):,}. {'. '.join(named)}{rest}. Without all heads of a layer: "
            f"{_without_layers(record)}. On MNIST {percent(at_query(record.results['MNIST']))}."
        )
    return lines


def _layers_in_words(kind: tuple[str, int], rows: Records) -> str:
    """How many runs of a kind have the head with the larger of each mass in which layer."""
    counts = []
    for mass in (SAME_CLASS, PREVIOUS):
        layers = [_strongest(record, mass)[0] for record in rows]
        found = (f"layer {layer} in {layers.count(layer)} of {len(layers)} runs" for layer in sorted(set(layers)))
        counts.append(f"most attention to the {mass} in {' and '.join(found)}")
    return f"{kind[0]} tokens, {kind[1]} layer{'s' if kind[1] > 1 else ''}: {'; '.join(counts)}."


def _without_layers(record: TrialRecord) -> str:
    """The accuracy on the query without each layer's attention."""
    layers = sorted({layer for layer, _ in _heads(record)})
    return ", ".join(f"L{layer} {percent(at_query(record.results[without(layer)]))}" for layer in layers)


def _head_in_words(record: TrialRecord, mass: str) -> str:
    """Such as `Most attention to the same class: L1H0, 0.81 [0.80, 0.82] (…), without it 12.0 % [9.4, 15.1]`."""
    layer, head = _strongest(record, mass)
    estimate, equal = _last(record, mass)[layer][head], ""
    if mass == SAME_CLASS:
        equal = f"with equal attention {_last(record, EQUAL)[0][0].mean:.2f}, "
    return (
        f"Most attention to the {mass}: L{layer}H{head}, {estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}] "
        f"({equal}half of the rise by step {_formed(record, mass):,}); without it "
        f"{percent(at_query(record.results[without(layer, head)]))}"
    )


def result(record: TrialRecord) -> str:
    """The accuracy on the query."""
    return f"query {percent(at_query(record.results[without()]))}"
