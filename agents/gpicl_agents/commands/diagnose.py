"""`gpicl diagnose`: has a trained agent become a learning algorithm? The three-way verdict, with its evidence."""

import inspect
import os
from typing import Any

import tyro
from rich.console import Console

from gpicl_envs.commands.arguments import Assignments
from gpicl_envs.errors import MissingDataError, check_integer
from gpicl_envs.learners.registry import LearnerSpec, parse_assignments
from gpicl_envs.registration import find_environment

DATASETS = ("MNIST", "FashionMNIST", "KMNIST", "Digits")
ONE_OFF = "new tasks, train images"  # what meta-training shows where no task is met twice


def diagnose(
    learner: tyro.conf.Positional[str],
    env: str | None = None,
    env_kwargs: Assignments = (),
    episodes: int = 512,
    device: str = "cpu",
) -> None:
    """Say whether an agent memorised instances, memorised tasks, or learned to learn, and why.

    It is asked about the tasks of its meta-training, new examples of them, new tasks, and datasets never seen; what
    counts is how much more it gains in an episode than a learner that counts labels. A run or checkpoint folder, or
    pretrained:NAME, says what it was meta-trained on; of others --env and --env-kwargs say it.

    Examples: `gpicl diagnose runs/mine`; `gpicl diagnose my_agent:MyAgent --env-kwargs n_tasks=64`.

    Args:
        learner: run or checkpoint folder, module:Class@folder, pretrained:NAME, module:Class or registered name.
        env: environment id of the meta-training; GPICL-MNIST-v0 where nothing says otherwise.
        env_kwargs: its arguments, such as n_tasks=64; they go before what a checkpoint says.
        episodes: episodes for each question.
        device: cpu or cuda.
    """
    from gpicl_agents.diagnosis import SEEN
    from gpicl_agents.diagnosis import diagnose as diagnose_results
    from gpicl_agents.experiments.engine import settings
    from gpicl_agents.experiments.engine.trial import SEED, summarize
    from gpicl_envs.evaluation.evaluate import evaluate_all
    from gpicl_envs.learners.check import check_classification, check_learner
    from gpicl_envs.tasks import make_tasks

    check_integer("episodes", episodes, 2)
    known = find_environment(env).arguments if env is not None else _meta_training(learner)
    arguments = (
        {"split": "train"} | (known or {"dataset": "MNIST"}) | parse_assignments(env_kwargs) | {"device": device}
    )
    tasks = make_tasks(**arguments)
    check_classification(tasks)
    made = LearnerSpec.parse(learner).make_for(tasks)
    check_learner(made, length=min(24, tasks.length))
    asked = [settings.seen(episodes), settings.unseen(episodes)]
    if tasks.n_tasks is not None:  # one-off tasks are not met again, so there are no new examples of them
        asked.insert(1, settings.new_examples(episodes))
    asked += [settings.unseen_dataset(name, episodes) for name in DATASETS if name != arguments["dataset"]]
    counting, chance, answers = LearnerSpec.parse("majority").make_for(tasks), 1 / tasks.n_classes, {}
    for question, shown in _posed(asked, arguments):
        curves = evaluate_all([made, counting], shown, episodes=episodes, seed=SEED, protocol=question.protocol)
        answers[question.name] = summarize(*curves)
        chance = max(chance, float(curves[1].final.mean)) if question.name == SEEN else chance
    found = diagnose_results(answers, chance, SEEN if tasks.n_tasks is not None else ONE_OFF)
    number = "unlimited tasks" if tasks.n_tasks is None else f"{tasks.n_tasks:,} task{'s' * (tasks.n_tasks > 1)}"
    lines = [f"{made.name}, meta-trained on {number} of {arguments['dataset']}: {found.phase}", *found.reasons]
    _say("\n  ".join(lines))


def _posed(asked: list[Any], arguments: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The questions that these arguments of meta-training can pose, each with its tasks; says which are left out."""
    from gpicl_envs.tasks import make_tasks

    posed = []
    for question in asked:
        try:
            posed.append((question, make_tasks(**arguments | question.changes)))
        except ValueError as error:  # not at hand, or it cannot pose such tasks: too few classes, no images
            if question.protocol != "unseen-dataset":
                raise
            reason = "it is not at hand (gpicl data list)" if isinstance(error, MissingDataError) else str(error)
            _say(f"{question.name} is left out: {reason}")
    return posed


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _meta_training(spec: str) -> dict[str, Any]:
    """What a checkpoint says it was meta-trained on; nothing for a learner that is none."""
    from gpicl_agents.pretrained import FOLDER
    from gpicl_agents.training.checkpoint import find_checkpoint, read_config
    from gpicl_envs.tasks.classification import TaskDistribution

    parsed = LearnerSpec.parse(spec)
    folder = str(FOLDER / parsed.target) if parsed.scheme == "pretrained" else parsed.target
    if parsed.scheme not in ("pretrained", "checkpoint") or not os.path.isdir(folder):
        return {}
    problem = read_config(find_checkpoint(folder)).get("training", {}).get("problem", {})
    names = inspect.signature(TaskDistribution).parameters.keys() - {"device", "route"}
    return {name: value for name, value in problem.items() if name in names}
