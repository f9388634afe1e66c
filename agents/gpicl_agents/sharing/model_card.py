"""Model cards: what a meta-trained learner is, what it has seen, what it cost, and how well it learns."""

import json
from collections.abc import Sequence
from typing import Any

from gpicl_agents.training.checkpoint import Folder, find_checkpoint, read_config
from gpicl_agents.training.recorded import recorded_kwargs
from gpicl_agents.training.run_folder import METRICS, read_metrics
from gpicl_envs.errors import MissingDataError, shareable
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.evaluation.provenance import package_versions, source_commit
from gpicl_envs.learners.base import Learner
from gpicl_envs.learners.registry import LearnerSpec
from gpicl_envs.tasks import make_tasks

SEED = 7_000_000  # of the episodes that a card's scores are on
BASELINES = ("kernel-ridge", "knn", "majority")
FRONT = "---\nlibrary_name: gpicl-envs\ntags: [gpicl, in-context-learning, meta-learning]\n---\n"


def model_card(
    title: str, about: str, learner: Learner, facts: Sequence[tuple[str, str]], scores: Sequence[str]
) -> str:
    """Return a card in Markdown.

    Args:
        title: its heading.
        about: what the learner is, in a sentence or two.
        learner: for its name and sizes.
        facts: what is said of it in a list: data, recipe, cost, licence.
        scores: further lines, such as tables.
    """
    n_classes = "K = 1 (real values)" if learner.n_classes == 1 else f"K = {learner.n_classes}"
    sizes = (
        f"`{learner.name}`, {learner.n_parameters:,} meta-trained parameters, D = {learner.n_features}, {n_classes}."
    )
    lines = [f"- {name}: {text}" for name, text in (("Learner", sizes), *facts)]
    return "\n".join([f"# {title}", f"{about}\n", *lines, *scores])


def card_of_run(run: Folder, title: str, learner: Learner, episodes: int) -> str:
    """Return the card of a run or checkpoint, from its record, with scores that are measured now.

    Args:
        run: its folder.
        title: such as `user/name`.
        learner: the learner of that checkpoint.
        episodes: of the scores; 0 for none.
    """
    checkpoint = find_checkpoint(run)
    config = read_config(checkpoint)
    training: dict[str, Any] = config["training"]
    recorded: dict[str, Any] = training.get("problem", {})
    problem = {k: v for k, v in recorded.items() if not k.startswith("learner's ") and v is not None}
    how = {k: v for k, v in training.get("config", {}).items() if v not in (None, False, [], ())}
    facts = [
        ("Meta-trained on", f"`{_one_line(problem)}`" if problem else "not recorded."),
        ("Recipe", f"`{_one_line(how)}`" if how else "not recorded."),
        ("Cost", f"{_cost(checkpoint)}{config.get('step', '?')} steps."),
        ("Source", f"gpicl-envs {package_versions()['gpicl-envs']}, commit {source_commit() or 'not known'}."),
    ]
    about = (
        "A learner of [gpicl-envs](https://pypi.org/project/gpicl-envs/): it learns in context. Use it as "
        f"`hf:{title}` (`gpicl evaluate --learner hf:{title}`), or `gpicl_agents.from_pretrained({title!r})`."
    )
    return FRONT + model_card(title, about, learner, facts, _scores(checkpoint, recorded, learner, episodes)) + "\n"


def _cost(checkpoint: Any) -> str:
    """The seconds of training, if the run's log lies beside."""
    run = checkpoint.parent.parent
    lines = read_metrics(run) if (run / METRICS).is_file() else []
    seconds = [line["seconds"] for line in lines if isinstance(line.get("seconds"), int | float)]
    return f"{max(seconds) / 60:.1f} minutes, " if seconds else ""


def _scores(checkpoint: Any, problem: dict[str, Any], learner: Learner, episodes: int) -> list[str]:
    """A table of the learner and baselines on unseen tasks of its problem, or why there is none."""
    if not episodes or not {"dataset", "function"} & problem.keys():
        return ["\nNo scores were measured when it was pushed."]
    try:
        tasks = make_tasks(**recorded_kwargs(checkpoint)).unseen()
        learners = [learner, *(LearnerSpec.parse(name).make_for(tasks) for name in BASELINES)]
        curves = evaluate_all(learners, tasks, episodes=episodes, seed=SEED, protocol=UNSEEN_TASK)
    except MissingDataError as error:
        return [f"\nNo scores were measured when it was pushed: {shareable(str(error))}"]
    scale, digits = (1.0, 3) if tasks.is_regression else (100.0, 1)
    what = "Squared error" if tasks.is_regression else "Accuracy in %"
    rows = []
    for curve in curves:
        mean, low, high = (f"{scale * float(value):.{digits}f}" for value in curve.final)
        rows.append(f"| {curve.learner} | {mean} [{low}, {high}] |")
    head = (
        f"\n{what} over the last examples [95 % interval], {episodes:,} episodes of unseen tasks, the same for all:\n"
    )
    return [head, f"| | {tasks.name} |", "|---|--:|", *rows]


def _one_line(values: dict[str, Any]) -> str:
    return shareable(" ".join(f"{name}={json.dumps(value, default=str)}" for name, value in values.items()))
