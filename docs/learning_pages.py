"""What the pages of the ids of supervised learning have of their own: data, accuracies, and an episode."""

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from PIL import Image

from docstrings import description, table
from gpicl_envs import InContextEnv, TaskDistribution, load_dataset, make_learner
from gpicl_envs.datasets import DATASETS, DatasetSpec
from gpicl_envs.datasets.tables import TABLES, load_table
from gpicl_envs.envs.actions import CLASSIFICATION_ACTIONS, FEEDBACKS, REGRESSION_ACTIONS, make_action_type
from gpicl_envs.evaluation.comparisons import scored
from gpicl_envs.evaluation.protocol import PROTOCOLS
from gpicl_envs.evaluation.records import ScoredRecord, read_records
from gpicl_envs.registration import Environment
from gpicl_envs.report import draw_curves, group
from gpicl_envs.report.columns import scored_columns
from gpicl_envs.sampling.pool import N_CLASSES
from gpicl_envs.tasks import KINDS
from gpicl_envs.tasks.base import EpisodeDistribution
from gpicl_envs.tasks.mixture import MIXTURES
from gpicl_envs.tasks.regression import FUNCTIONS, FunctionDistribution
from page_content import RESULTS, PageContent, provenance

DATA = {  # where records are of other data than an id's own
    "GPICL-CIFAR10-v0": "**On a lossy copy**: 2,000 test images of CIFAR-10, saved as JPEG of quality 75.",
}
MADE_BY = {"quickstart.jsonl": "gpicl quickstart"}  # other record files: `gpicl evaluate`
SHOWN_EXAMPLES = 40  # predictions before the picture of an environment


def learning_content(environment: Environment, folder: Path) -> PageContent:
    """Return what the page of an id of supervised learning has of its own; its pictures go into the folder."""
    return PageContent(
        env=InContextEnv,
        distribution=_distribution(environment),
        shared_arguments="How predictions are given and rewarded, and what is shown",
        picture=_picture(environment, folder),
        sections={
            "Description": _about(environment),
            "Observation space": _spaces(environment),
            "Data": "\n\n".join(_data(environment)),
            "Reference scores": "\n\n".join(_scores(environment.id, folder)),
        },
    )


def _dataset(environment: Environment) -> DatasetSpec | None:
    return DATASETS.get(environment.arguments.get("dataset", ""))


def _is_available(environment: Environment) -> bool:
    """Whether this machine has the data that the environment needs."""
    spec = _dataset(environment)
    return spec is None or spec.location() is not None


def _distribution(environment: Environment) -> type[EpisodeDistribution]:
    """The class that the only argument of an id makes."""
    (argument,) = environment.arguments
    return KINDS[argument]


def _about(environment: Environment) -> str:
    """The docstring of the data's loader, or of the distribution."""
    spec = _dataset(environment)
    if _distribution(environment) is not TaskDistribution:
        return description(_distribution(environment))
    return description(spec.load) if spec is not None and inspect.isfunction(spec.load) else ""


def _spaces(environment: Environment) -> str:
    """The spaces with default arguments, for each kind of action and feedback."""
    defaults = inspect.signature(_distribution(environment)).parameters
    x = Box(-np.inf, np.inf, (defaults["n_features"].default,), np.float32)
    n_classes = _default_n_classes(environment)
    rows = []
    for action in REGRESSION_ACTIONS if n_classes == 1 else CLASSIFICATION_ACTIONS:
        for feedback in FEEDBACKS:
            action_type = make_action_type(action, feedback, n_classes)
            spaces = f"`{action_type.feedback_space}`", f"`{action_type.action_space}`"
            rows.append((f'`"{action}"`', f'`"{feedback}"`', *spaces))
    head = ["`action=`", "`feedback=`", "observation `y`", "action space"]
    return f"The observation's `x` is in `{x}`; the rest depends on the arguments:\n\n{table(head, rows)}"


def _default_n_classes(environment: Environment) -> int:
    spec = _dataset(environment)
    if spec is None:
        return 1 if _distribution(environment) is FunctionDistribution else N_CLASSES
    return min(N_CLASSES, spec.n_classes or N_CLASSES)


def _data(environment: Environment) -> list[str]:
    """The dataset's facts, and how to get it; or what is drawn instead."""
    spec = _dataset(environment)
    if spec is None:
        return _drawn(environment)
    facts = {
        "shape of an input": " × ".join(map(str, spec.shape)),
        "classes": _number(spec.n_classes),
        "training examples": _number(spec.n_train),
        "test examples": _number(spec.n_test),
        "source": spec.source,
        "licence": spec.licence,
    }
    if _is_available(environment):
        dataset = load_dataset(spec.name)
        facts["within an episode"] = f"drawn {'with' if dataset.with_replacement else 'without'} replacement"
        if dataset.bayes_accuracy is not None:
            facts["best possible accuracy"] = f"{100 * dataset.bayes_accuracy:.1f} %, if the distribution were known"
    known = [(name, value) for name, value in facts.items() if value]
    parts = [table(["", ""], known)] if known else ["Your own."]
    if spec.download_mb is not None:
        parts.append(
            f"To download it ({spec.download_mb:g} MB), once:\n\n```console\ngpicl data download {spec.name}\n```"
        )
    return parts


def _drawn(environment: Environment) -> list[str]:
    """What is drawn at random: functions, rules that label tables, or the components of a mixture."""
    ((argument, name),) = environment.arguments.items()
    if argument == "function":
        function = FUNCTIONS[name]
        rows = [("a function", description(function.draw)), ("its value at x", description(function.apply))]
        return ["None: inputs and functions are drawn at random.", table(["", ""], rows)]
    if argument == "prior":
        return ["None: tables and the rules that label them are drawn at random."]
    if argument == "table":
        return [description(load_table), table(["`table=`", "from"], [(n, s.source) for n, s in TABLES.items()])]
    rows = [(f"{part['weight']:g}", _given(part)) for part in MIXTURES[name]]
    return ["That of its components:", table(["weight", "arguments"], rows)]


def _given(part: Mapping[str, Any]) -> str:
    """The arguments of a mixture's component, as one types them."""
    return ", ".join(f"`{name}={value!r}`" for name, value in part.items() if name != "weight")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


# -- Scores -----------------------------------------------------------------------------------------------------------


@cache
def _committed() -> dict[Path, list[ScoredRecord]]:
    """All committed records, by file."""
    return {path: list(scored(read_records(path))) for path in sorted(RESULTS.glob("*.jsonl"))}


def _scores(env_id: str, folder: Path) -> list[str]:
    """Tables and curves of the committed records of an id."""
    parts = []
    for path, committed in _committed().items():
        records = [record for record in committed if record.env == env_id]
        if records:
            picture = f"{env_id}-{path.stem}.png"
            draw_curves(group(records), [folder / picture])
            for title, column in scored_columns(group(records)).items():
                parts += [f"**{title}**"] if column[0].suite and column[0].suite.cell in TABLES else []
                parts += [_score_table(column), _provenance(column[0], path)]
            parts += [f"![Accuracy at every position of the episode]({picture})"]
    if parts:
        return parts
    return [
        f"""No scores are committed for this id yet. To compute some:

```console
gpicl evaluate --env {env_id} --learners knn ridge kernel-ridge
```"""
    ]


def _score_table(records: list[ScoredRecord]) -> str:
    protocol, last = records[0].protocol, records[0].final_positions
    where = "at the last position" if last == 1 else f"over the last {last} positions"
    body = []
    for record in records:
        mean, low, high = (100 * value for value in record.final)
        body.append((record.learner, f"{record.n_parameters:,}", f"{mean:.1f}", f"[{low:.1f}, {high:.1f}]"))
    heads = ["learner", "trained parameters", "accuracy", "95 % interval"]
    return f"*{protocol}*: {PROTOCOLS[protocol]}. Accuracy in % {where}:\n\n{table(heads, body, right=3)}"


def _provenance(record: ScoredRecord, path: Path) -> str:
    options = f"--env {record.env} --protocol {record.protocol} --episodes {record.episodes} --seed {record.seed}"
    made = provenance(record, path, MADE_BY.get(path.name, f"gpicl evaluate {options}"))
    return f"{DATA[record.env]} {made}" if record.env in DATA else made


# -- Pictures ---------------------------------------------------------------------------------------------------------


def _picture(environment: Environment, folder: Path) -> str:
    if not _is_available(environment):
        return ""
    player = _draw_episode(environment, folder / f"{environment.id}.png")
    picture = f"![An episode, after {SHOWN_EXAMPLES} predictions]({environment.id}.png)"
    return f"{picture}\n\n*After {SHOWN_EXAMPLES} predictions by {player}.*"


def _draw_episode(environment: Environment, path: Path) -> str:
    """Draw an episode whose first labels a simple learner has predicted; return the learner's name in words."""
    env: Any = gymnasium.make(environment.id, render_mode="rgb_array")
    env.reset(seed=0)
    for prediction in _predictions(env.unwrapped)[:SHOWN_EXAMPLES]:
        env.step(prediction)
    Image.fromarray(env.render()).save(path)
    return "least squares" if env.unwrapped.tasks.is_regression else "the nearest neighbour"


def _predictions(env: Any) -> Any:
    """(N,) labels by the nearest neighbour, or (N, 1) values by least squares, from the examples before each."""
    x, y = env.episode.x, env.episode.y
    if not env.tasks.is_regression:
        learner = make_learner("knn", n_features=x.shape[2], n_classes=env.tasks.n_classes)
        return learner.predict(x, y).argmax(2)[0].numpy()
    inputs, values = x[0].double().numpy(), y[0].double().numpy()
    weights = [np.linalg.lstsq(inputs[:n], values[:n])[0] if n else np.zeros(x.shape[2]) for n in range(len(values))]
    return (inputs * weights).sum(1, keepdims=True).astype(np.float32)
