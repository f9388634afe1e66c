"""Shift: episodes that differ from those of meta-training.

How much does a meta-trained agent lose on episodes whose distribution it has never seen, compared with learners that
were never trained? One property is changed at a time, the agent is not changed at all, and the tasks are new.

Linear functions, D = 8, noise of variance 0.25, 16 examples: the scale of x, the noise, the covariance of x (skewed, or
a subspace of half the dimensions), all examples in one orthant with the query anywhere or in the opposite one, and
longer episodes. Garg et al. (2022, arXiv:2208.01066) report that a Transformer stays close to least squares under most
of these shifts, and that its error rises under skewed covariance and for larger scales of x. The score is the squared
error at the last example, as a percentage of that of predicting 0 on the same episodes; ridge regression has the
regularisation that is optimal in meta-training.

Images, 10 classes, 100 examples: label noise, scale and covariance of x, episodes of 1,000 examples, and fewer classes
than the agent has outputs. The score is the accuracy over the last ten examples, at most 1 − e with a fraction e
of noisy labels.

Fewer classes, and more: an agent with ten outputs was meta-trained on episodes of ten classes, of five, or of a number
that each task draws from 2 to 10 (`active_classes`), and meets 2 to 10. The same for the pretrained checkpoints, as
they are and after a short further meta-training on ten classes or on 2 to 10, in episodes of 30 examples. A mask that
allows only labels that occurred in the context shows how much accuracy is lost to labels that never occur.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.evaluations import NEW_TASKS, Evaluation
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import percent, select
from gpicl_agents.experiments.engine.plots import draw_kinds, draw_values, save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.records import Estimate
from gpicl_envs.report.figures import line_style, panels

FUNCTIONS, LABELS, CLASSES, CHECKPOINTS = "functions", "images", "classes", "checkpoints"
SAME = "as in meta-training"
LONG = {FUNCTIONS: 64, LABELS: 1000}
SHIFTS: dict[str, dict[str, Sequence[Any]]] = {
    FUNCTIONS: {
        "x_scale": (0.25, 0.5, 2.0, 4.0),
        "noise": (0.0, 1.0, 2.0),
        "x_spectrum": ("skewed", "subspace"),
        "orthants": ("random", "opposite"),
        "length": (LONG[FUNCTIONS],),
    },
    LABELS: {
        "label_noise": (0.1, 0.2, 0.4),
        "x_scale": (4.0,),
        "x_spectrum": ("skewed", "subspace"),
        "active_classes": (2, 3, 5, 7, 10),  # that occur, of an agent's ten
        "length": (LONG[LABELS],),
    },
}
TRAINED_ON: dict[str, dict[str, Any]] = {"10": {}, "5": {"active_classes": 5}, "2–10": {"active_classes": (2, 10)}}
PRETRAINED = ("gpicl-small", "gpicl-small-kernel")
FEW = 3  # classes of a user's data, say
FEW_EXAMPLES = 30
MASKED = "only labels seen"
BASELINES = {FUNCTIONS: ("least-squares", "ridge", "knn"), LABELS: ("kernel-ridge", "ridge", "knn")}
AGENTS: dict[str, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {  # (arguments, training) at small scale
    FUNCTIONS: {
        "gated-deltanet": (settings.FUNCTIONS["small"].transformer, {}),
        "transformer": (settings.FUNCTIONS["small"].transformer, {"steps": 2000, "learning_rate": 4e-3}),
        "kernel-transformer": ({}, {"steps": 600, "learning_rate": 4e-3}),
    },
    LABELS: {
        "transformer": (settings.SMALL.transformer, {}),
        "gated-deltanet": ({"width": 128}, {"steps": 400, "learning_rate": 4e-3}),
        "outer-product-lstm": ({"width": 128}, {"steps": 400, "learning_rate": 3e-3}),
    },
}
FURTHER: dict[str, dict[str, Any]] = {  # meta-training of a checkpoint
    "small": {"steps": 240, "learning_rate": 5e-4, "warmup_steps": 20, "evaluate_every": 0, "checkpoint_every": 120},
    "paper": {"steps": 5000, "learning_rate": 1e-3, "warmup_steps": 100, "evaluate_every": 0, "checkpoint_every": 1000},
}


def trials(scale: str) -> list[Trial]:
    """Further meta-training first, since it takes longest; baselines last."""
    seeds = range(settings.SEEDS[scale])
    found = [
        _checkpoint(name, classes, seed, scale) for name in PRETRAINED for classes in ("10", "2–10") for seed in seeds
    ]
    for on, setting in _settings(scale).items():
        for learner, (kwargs, training) in AGENTS[on].items():
            named: dict[str, Any] = {"learner": learner, "learner_kwargs": {}}
            named |= {"learner_kwargs": kwargs, "train_kwargs": training} if scale == "small" else {}
            found += [setting.trial(_axes(on, learner, seed), _shifted(on), **named) for seed in seeds]
    numbers = [evaluation for evaluation in _shifted(LABELS) if "active_classes" in evaluation.name]
    for classes in ("5", "2–10"):
        for seed in seeds:
            axes = _axes(CLASSES, f"transformer, trained on {classes} classes", seed)
            found.append(settings.SETTINGS[scale].trial(axes, numbers, env_kwargs=TRAINED_ON[classes]))
    found += [_checkpoint(name, "", None, scale) for name in PRETRAINED]
    return found + _untrained(scale)


def _settings(scale: str) -> dict[str, settings.Setting]:
    return {FUNCTIONS: settings.FUNCTIONS[scale], LABELS: settings.SETTINGS[scale]}


def _axes(on: str, agent: str, seed: int | None = None) -> dict[str, Any]:
    return {"on": on, "agent": agent} | ({} if seed is None else {"seed": seed})


def _untrained(scale: str) -> list[Trial]:
    """The baselines on the same episodes."""
    functions, images = (setting.env_kwargs for setting in _settings(scale).values())
    best = {"regularization": functions["noise"] ** 2 / functions["n_features"]}
    found = [
        Trial(_axes(FUNCTIONS, name), name, best if name == "ridge" else {}, functions, None, 16, _shifted(FUNCTIONS))
        for name in BASELINES[FUNCTIONS]
    ]
    found += [Trial(_axes(LABELS, name), name, {}, images, None, 16, _shifted(LABELS)) for name in BASELINES[LABELS]]
    whole = {"dataset": "MNIST"}
    return [*found, Trial(_axes(CHECKPOINTS, "kernel-ridge"), "kernel-ridge", {}, whole, None, 16, _few())]


def _checkpoint(name: str, classes: str, seed: int | None, scale: str) -> Trial:
    """A pretrained agent, meta-trained further if classes are given."""
    training = None if seed is None else FURTHER[scale] | {"seed": seed}
    agent = f"{name}, + {classes} classes" if classes else name
    env_kwargs = {"dataset": "MNIST"} | TRAINED_ON.get(classes, {})
    return Trial(_axes(CHECKPOINTS, agent, seed), f"pretrained:{name}", {}, env_kwargs, training, 16, _few())


def _shifted(on: str) -> tuple[Evaluation, ...]:
    """New tasks as in meta-training, and with each of the shifts."""
    usual, long = (512, 512) if on == FUNCTIONS else (256, 64)  # episodes
    found = [Evaluation(SAME, UNSEEN_TASK, NEW_TASKS, usual)]
    for axis, values in SHIFTS[on].items():
        for value in values:
            changed = NEW_TASKS | {axis: value}
            episodes = long if axis == "length" else usual
            found.append(Evaluation(f"{axis}={value}", UNSEEN_TASK, changed, episodes))
    return tuple(found)


def _few() -> tuple[Evaluation, ...]:
    """Few classes, with the mask too, and all ten in episodes of the usual length."""
    few = NEW_TASKS | {"active_classes": FEW, "length": FEW_EXAMPLES}
    return (
        Evaluation(f"{FEW} classes", UNSEEN_TASK, few, 512),
        Evaluation(f"{FEW} classes, {MASKED}", UNSEEN_TASK, few, 512, only_seen=True),
        Evaluation("10 classes", UNSEEN_TASK, NEW_TASKS | {"active_classes": None}, 512),
    )


def _score(record: TrialRecord, name: str) -> Estimate:
    """The accuracy over the last ten; for functions, the error of the last prediction, of that of predicting 0."""
    found = record.results[name]
    return found.final if found.error is None else Estimate(*(values[-1] for values in found.error))


def draw(records: Records, folder: Path) -> list[str]:
    """A figure for functions, for images, and for the pretrained checkpoints with few classes."""
    drawers = {"functions": _draw_functions, "images": _draw_images, "checkpoints": _draw_checkpoints}
    return [save_figure(drawer(records), folder, f"shift-{name}") for name, drawer in drawers.items()]


def _agents(records: Records, on: str) -> dict[str, list[TrialRecord]]:
    rows = select(records, on=on)
    return {agent: select(rows, agent=agent) for agent in dict.fromkeys(row.axes["agent"] for row in rows)}


def _scores(agents: dict[str, list[TrialRecord]]) -> dict[str, Any]:
    return {
        agent: [{name: _score(row, name) for name in row.results} for row in rows] for agent, rows in agents.items()
    }


def _draw_functions(records: Records) -> Any:
    figure, (scale, noise, kinds, length) = panels(4, across=2, width=6.0)
    agents = _agents(records, FUNCTIONS)
    scores = _scores(agents)
    draw_values(scale, scores, {SAME: 1.0} | _places(FUNCTIONS, "x_scale"))
    scale.set_xscale("log", base=2)
    scale.set(title="scale of x", xlabel="x_scale (1 in meta-training)")
    draw_values(noise, scores, {SAME: float(settings.PROBLEM["noise"])} | _places(FUNCTIONS, "noise"))
    noise.set(title="noise of y", xlabel="standard deviation (0.5 in meta-training)")
    draw_kinds(kinds, scores, [SAME, *_names(FUNCTIONS, "x_spectrum"), *_names(FUNCTIONS, "orthants")])
    _draw_curves(length, agents, f"length={LONG[FUNCTIONS]}")
    for axes in (scale, noise, kinds, length):
        axes.set(yscale="log", ylabel="squared error (%) of that of predicting 0")
    return figure


def _draw_images(records: Records) -> Any:
    figure, (noise, kinds, numbers, length) = panels(4, across=2, width=6.0)
    agents = _agents(records, LABELS)
    scores = _scores(agents)
    draw_values(noise, scores, {SAME: 0.0} | _places(LABELS, "label_noise"))
    noise.set(title="label noise", xlabel="fraction of noisy labels (0 in meta-training)")
    draw_kinds(kinds, scores, [SAME, *_names(LABELS, "x_scale"), *_names(LABELS, "x_spectrum")])
    _draw_curves(length, agents, f"length={LONG[LABELS]}")
    draw_values(numbers, scores | _scores(_agents(records, CLASSES)), _places(LABELS, "active_classes"))
    numbers.set(title="fewer classes", xlabel="classes that occur, of ten outputs")
    for axes in (noise, kinds, numbers, length):
        axes.set(ylim=(0, 100), ylabel="accuracy (%)")
    return figure


def _draw_checkpoints(records: Records) -> Any:
    figure, (axes,) = panels(1, width=9.0)
    draw_kinds(axes, _scores(_agents(records, CHECKPOINTS)), [each.name for each in _few()])
    axes.set(title=f"checkpoints; few classes: {FEW_EXAMPLES} examples", ylabel="accuracy (%)")
    return figure


def _names(on: str, axis: str) -> list[str]:
    return [f"{axis}={value}" for value in SHIFTS[on][axis]]


def _places(on: str, axis: str) -> dict[str, float]:
    return dict(zip(_names(on, axis), map(float, SHIFTS[on][axis]), strict=True))


def _draw_curves(axes: Any, agents: dict[str, list[TrialRecord]], name: str) -> None:
    """The score at every example of long episodes, the mean over seeds, smoothed more the further it is."""
    for i, (agent, rows) in enumerate(agents.items()):
        found = [row.results[name] for row in rows]
        curve = np.mean([(each.error or each.accuracy).mean for each in found], axis=0)
        edges = np.unique(np.geomspace(1, len(curve) + 1, 24).astype(int))
        blocks = [
            (np.sqrt(a * (b - 1)), 100 * curve[a - 1 : b - 1].mean()) for a, b in zip(edges, edges[1:], strict=False)
        ]
        axes.plot(*zip(*blocks, strict=True), linewidth=1.3, label=agent, **line_style(i))
    axes.set(xscale="log", title=f"longer episodes ({name})", xlabel="example")


def findings(records: Records) -> list[str]:
    """What each agent loses most to, whether it goes on learning in long episodes, and what the mask would give."""
    lines = []
    for on in (FUNCTIONS, LABELS):
        for agent, rows in _agents(records, on).items():
            lines.append(f"{on}, {agent}: {_worst(rows)}.")
    for agent, rows in _agents(records, LABELS).items():
        lines.append(f"images, episodes of {LONG[LABELS]:,}, {agent}: {'; '.join(map(_goes_on, rows))}.")
    numbers = _names(LABELS, "active_classes")
    for agent, rows in (_agents(records, LABELS) | _agents(records, CLASSES)).items():
        found = (f"{name.partition('=')[2]}: {_each([_score(row, name) for row in rows])}" for name in numbers)
        lines.append(f"images, classes that occur, {agent} (accuracy in %, one value per seed): {', '.join(found)}.")
    for agent, rows in _agents(records, CHECKPOINTS).items():
        lines.append(f"{FEW} classes of ten, {FEW_EXAMPLES} examples, {agent}: {'; '.join(map(_gap, rows))}.")
    return lines


def _each(estimates: Sequence[Estimate]) -> str:
    return " / ".join(f"{100 * estimate.mean:.1f}" for estimate in estimates)


def _worst(rows: Records) -> str:
    """The score as in meta-training, and under the shift that costs most, as means over seeds."""
    means = {name: np.mean([_score(row, name).mean for row in rows]) for name in rows[0].results}
    shifted = [name for name in means if name not in (SAME, *(f"length={n}" for n in LONG.values()))]
    worst = (max if rows[0].axes["on"] == FUNCTIONS else min)(shifted, key=means.__getitem__)
    what = "error" if rows[0].axes["on"] == FUNCTIONS else "accuracy"
    same, other = (_each([_score(row, name) for row in rows]) for name in (SAME, worst))
    return f"{what} {same} % {SAME}, {other} % at worst ({worst})"


def _goes_on(row: TrialRecord) -> str:
    """The accuracy at the end of long episodes against that of the usual ones, of the same tasks' distribution."""
    usual, long = (_score(row, name) for name in (SAME, f"length={LONG[LABELS]}"))
    verdict = "goes on learning" if long.low > usual.high else "loses" if long.high < usual.low else "no clear change"
    return f"{percent(usual)} over examples 91 to 100, {percent(long)} over the last ten: {verdict}"


def _gap(row: TrialRecord) -> str:
    """The accuracy with few classes, what the mask adds, and the accuracy with ten."""
    plain, masked, ten = (_score(row, each.name) for each in _few())
    return (
        f"{percent(plain)}, with the mask {percent(masked)} ({100 * (masked.mean - plain.mean):+.1f} points); ten "
        f"classes {percent(ten)}"
    )


def table(records: Records) -> str:
    """Every agent's score under every shift: means over seeds."""
    parts = []
    for on, title in ((FUNCTIONS, "squared error in % of that of predicting 0"), (LABELS, "accuracy in %")):
        agents = _agents(records, on)
        if not agents:
            continue
        names = [evaluation.name for evaluation in _shifted(on)]
        lines = [f"| {on}: {title} | {' | '.join(agents)} |", f"|---|{'--:|' * len(agents)}"]
        for name in names:
            means = (100 * np.mean([_score(row, name).mean for row in rows]) for rows in agents.values())
            lines.append(f"| {name} | {' | '.join(f'{mean:.1f}' for mean in means)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def result(record: TrialRecord) -> str:
    """The score of the first evaluation, with its interval."""
    name = next(iter(record.results))
    return f"{name}: {percent(_score(record, name))}"
