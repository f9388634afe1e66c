"""Burstiness: learning in context against learning in weights.

Which properties of the data make a Transformer learn in context, and which let it remember classes in its weights?
Chan et al. 2022 (arXiv:2205.05055) and Reddy 2024 (arXiv:2312.03002) find that in-context learning needs bursty
episodes and many classes, that classes which rarely occur keep it alive, so that with class frequencies of a Zipf law
of exponent about 1 a model can have both, and that either can prevent the other. Singh et al. 2023 (arXiv:2311.08360)
find that in-context learning is transient: with more training it disappears, and weights take its place.

Here the classes have fixed labels, the same in every episode. Before its last example, the query, an episode shows 8
examples: with burstiness 4 those of two classes, four times each, and with burstiness 1 those of eight classes; one of
them is the query's. The loss is of all 9 predictions. All scores are accuracies on the query. In context: classes that
never occurred in meta-training, with labels that each episode draws, four classes twice each; whoever answers with any
label of the context is right in 25 % (dotted). In weights: classes of meta-training, but none of the context is of the
query's class; chance is 3 %. The third score is the same for the 32 most frequent classes alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpicl_agents.evaluations import Evaluation, unseen_dataset
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import at_query, axis_values, percent, select
from gpicl_agents.experiments.engine.plots import draw_estimate, save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.report.figures import PALETTE, panels
from gpicl_envs.sampling.class_sequences import IN_CONTEXT as QUERY_IN_CONTEXT
from gpicl_envs.sampling.class_sequences import NOT_IN_CONTEXT

IN_CONTEXT, IN_WEIGHTS, FREQUENT = "in-context", "in-weights", "in-weights, frequent classes"
SCORES = (IN_CONTEXT, IN_WEIGHTS, FREQUENT)
OMNIGLOT = ("Omniglot", "omniglot_small_28")  # the second, of 242 characters, if the data folder has it as an npz file
BURSTINESS, ZIPF, LONG = "burstiness", "Zipf exponent", "long training"
HELD_OUT, COMMON = 64, 32  # classes
N_LABELS = 32
CHANCE = 1 / N_LABELS
# Series → number of classes, values of (burstiness, zipf), seeds, steps, and steps between evaluations.
SERIES: dict[str, dict[str, tuple[int, Sequence[tuple[int, float]], int, int, int]]] = {
    "small": {
        LONG: (512, [(4, 0.0)], 3, 6000, 200),
        BURSTINESS: (1024, [(1, 0.0), (2, 0.0), (4, 0.0), (8, 0.0)], 3, 1200, 200),
        ZIPF: (1024, [(4, 0.5), (4, 1.0), (4, 1.5), (4, 2.0)], 3, 1200, 200),
    },
    "paper": {
        LONG: (964, [(4, 0.0)], 3, 500_000, 10_000),
        BURSTINESS: (964, [(1, 0.0), (2, 0.0), (4, 0.0), (8, 0.0)], 3, 50_000, 1000),
        ZIPF: (964, [(4, 0.5), (4, 1.0), (4, 1.5), (4, 2.0)], 3, 50_000, 1000),
    },
}


def _small_env(n_classes: int) -> dict[str, Any]:
    """Clusters: orthogonal means, so that no class is like another."""
    return {
        "dataset": "Clusters",
        "n_clusters": n_classes + HELD_OUT,
        "within_class_noise": 0.1,
        "n_features": n_classes + HELD_OUT,
        "projection": "none",
    }


def _paper_env(n_classes: int) -> dict[str, Any]:
    """Drawings of characters; every class has 15 examples."""
    return {"dataset": "Omniglot", "n_features": 784, "projection": "none"}


SMALL = settings.Setting(
    env_kwargs={},
    transformer={"width": 64, "n_layers": 2, "n_heads": 2, "mlp_width": 128, "input_rank": 64},
    train_kwargs=settings.SMALL.train_kwargs
    | {"learning_rate": 3e-3, "schedule": "constant", "evaluate_episodes": 64, "checkpoint_every": 500},
    batch_size=64,
)
PAPER = replace(settings.PAPER, transformer=settings.PAPER.transformer | {"tokens": "paired"})
SETTINGS = {"small": SMALL, "paper": PAPER}
ENVS: dict[str, Callable[[int], dict[str, Any]]] = {"small": _small_env, "paper": _paper_env}


def trials(scale: str) -> list[Trial]:
    """All series, every value with every seed."""
    return [
        _trial(scale, series, burstiness, zipf, seed)
        for series, (_, values, seeds, _, _) in SERIES[scale].items()
        for burstiness, zipf in values
        for seed in range(seeds)
    ]


def _trial(scale: str, series: str, burstiness: int, zipf: float, seed: int) -> Trial:
    n_classes, _, _, steps, every = SERIES[scale][series]
    drawings = OMNIGLOT if scale == "small" else ()  # else they are what it is trained on
    problem = {"length": 9, "n_classes": N_LABELS, "permute_labels": False}
    return SETTINGS[scale].trial(
        {"series": series, "burstiness": burstiness, "zipf": zipf, "seed": seed},
        _evaluations(scale, n_classes, 2048) + [unseen_dataset(name, 2048, **_novel_drawings()) for name in drawings],
        env_kwargs=ENVS[scale](n_classes) | problem | _first(n_classes) | {"burstiness": burstiness, "zipf": zipf},
        train_kwargs={"steps": steps, "evaluate_every": every},
        during=_evaluations(scale, n_classes, 512),
    )


def _evaluations(scale: str, n_classes: int, episodes: int) -> list[Evaluation]:
    """The three scores; in weights on new examples, unless those are of other classes, as in Omniglot."""
    held_out: dict[str, Any] = {"classes": (n_classes, n_classes + HELD_OUT), "active_classes": HELD_OUT}
    memory, protocol = {"split": "test"}, UNSEEN_TASK
    if scale == "paper":
        held_out, memory, protocol = {"classes": None, "active_classes": None}, {"split": "train"}, SEEN_TASK
    novel = held_out | {"split": "test", "permute_labels": True, "zipf": 0.0} | _bursts()
    known: dict[str, Any] = memory | {"burstiness": None, "zipf": 0.0, "query": NOT_IN_CONTEXT}
    return [
        Evaluation(IN_CONTEXT, UNSEEN_TASK, novel, episodes),
        Evaluation(IN_WEIGHTS, protocol, known, episodes),
        Evaluation(FREQUENT, protocol, known | _first(COMMON), episodes),
    ]


def _bursts() -> dict[str, Any]:
    """Four classes, two examples of each, and a query of one of them."""
    return {"burstiness": 2, "query": QUERY_IN_CONTEXT}


def _first(count: int) -> dict[str, Any]:
    """The first classes alone, which are the most frequent ones."""
    return {"classes": (0, count), "active_classes": count}


def _novel_drawings() -> dict[str, Any]:
    """Of every class of the dataset, with labels that each episode draws, projected to the same size."""
    own = {"classes": None, "active_classes": None, "n_clusters": 10, "within_class_noise": 1.0}
    return own | {"projection": "gaussian", "permute_labels": True, "zipf": 0.0} | _bursts()


def draw(records: Records, folder: Path) -> list[str]:
    """The scores by burstiness, by Zipf exponent, and through long training."""
    figure, (bursty, zipf, long) = panels(3)
    flat = select(records, series=BURSTINESS)
    _draw_scores(bursty, flat, "burstiness", range(len(axis_values(flat, "burstiness")) if flat else 0))
    _draw_scores(zipf, _by_zipf(records), "zipf", None)
    for record in select(records, series=LONG):
        for name, colour in zip(SCORES[:2], PALETTE, strict=False):
            steps = [stage.step for stage in record.training.history]
            scores = [100 * stage.accuracy[name][-1] for stage in record.training.history]
            long.plot(steps, scores, color=colour, linewidth=1.1, label=name)
    bursty.set(title="no Zipf law", xlabel="burstiness (dots: seeds, bars: 95 % intervals)")
    zipf.set(title="burstiness 4", xlabel="Zipf exponent of the classes")
    long.set(title="long training, fewer classes (one line per seed)", xlabel="meta-training step")
    for axes in (bursty, zipf, long):
        axes.set(ylabel="accuracy on the query (%)", ylim=(0, 100))
        axes.axhline(25, color="#888888", linestyle=":", linewidth=0.9)
    return [save_figure(figure, folder, "burstiness")]


def _by_zipf(records: Records) -> list[TrialRecord]:
    """The runs that differ in the exponent alone: 0 is in the series of burstiness."""
    return select(records, series=ZIPF) + select(records, series=BURSTINESS, burstiness=4)


def _draw_scores(axes: Any, rows: Records, axis: str, places: Sequence[int] | None) -> None:
    """Every score of every run; each value of the axis at its own place, or at the value."""
    values = axis_values(rows, axis)
    where = dict(zip(values, values if places is None else places, strict=True))
    for name, colour in zip(SCORES, PALETTE, strict=False):
        for record in rows:
            score = at_query(record.results[name])
            draw_estimate(axes, where[record.axes[axis]], score, color=colour, label=name)
        means = [
            100 * sum(at_query(row.results[name]).mean for row in own) / len(own)
            for own in (select(rows, **{axis: value}) for value in values)
        ]
        axes.plot([where[value] for value in values], means, color=colour, linewidth=1.2)
    axes.set_xticks(list(where.values()), [f"{value:g}" for value in where])


def findings(records: Records) -> list[str]:
    """The scores of every run of each value, and in long training when the in-context score was best."""
    lines = []
    for title, rows, axis in (
        ("burstiness", select(records, series=BURSTINESS), "burstiness"),
        ("Zipf exponent", _by_zipf(records), "zipf"),
    ):
        for value in axis_values(rows, axis):
            own = select(rows, **{axis: value})
            scores = (f"{name} {', '.join(percent(at_query(row.results[name])) for row in own)}" for name in SCORES)
            lines.append(f"{title} {value:g}, per seed: {'; '.join(scores)}.")
    return lines + [_transience(record) for record in select(records, series=LONG)]


def _transience(record: TrialRecord) -> str:
    """When the in-context score was highest, and both scores then and at the end."""
    best = max(record.training.history, key=lambda stage: stage.accuracy[IN_CONTEXT][-1])
    then = " and ".join(f"{name} {100 * best.accuracy[name][-1]:.0f} %" for name in SCORES[:2])
    end = " and ".join(f"{name} {percent(at_query(record.results[name]))}" for name in SCORES[:2])
    return (
        f"Long training, seed {record.axes['seed']}: the in-context score is highest at step {best.step:,} ({then}; "
        f"512 episodes); after {record.training.steps:,} steps {end}."
    )


def result(record: TrialRecord) -> str:
    """All scores."""
    return ", ".join(f"{name} {percent(at_query(found))}" for name, found in record.results.items())
