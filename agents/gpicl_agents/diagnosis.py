"""Has it become a learning algorithm? The three-way diagnosis of the paper's poster, with its evidence.

| accuracy rises within the episode on | diagnosis |
|---|---|
| neither seen nor unseen tasks | instance memorisation (or, at chance, nothing learned yet) |
| seen tasks alone | task memorisation: the learner identifies which of the seen tasks this is |
| unseen tasks, and usually seen ones | general-purpose in-context learning |

With unbalanced labels, counting them raises accuracy too: `diagnose_learner` subtracts the gain of the learner
`majority` on the same episodes. For regression, accuracy stands for the fraction of the targets' variance that the
predictions explain; other classes of functions are the unseen datasets.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpicl_agents.evaluations import (
    NEW_EXAMPLES,
    SEED,
    Summary,
    find_available,
    new_examples,
    seen_tasks,
    summarize,
    summarize_values,
    unseen_dataset,
    unseen_function,
    unseen_tasks,
)
from gpicl_agents.pretrained import FOLDER
from gpicl_agents.sharing.hub import pull
from gpicl_agents.training.checkpoint import Folder
from gpicl_agents.training.recorded import recorded_kwargs
from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.evaluation.protocol import SEEN_TASK, UNSEEN_TASK
from gpicl_envs.learners.check import check_learner
from gpicl_envs.learners.registry import CHECKPOINT, LearnerSpec
from gpicl_envs.registration import FUNCTION_CLASSES
from gpicl_envs.tasks import make_tasks

MARGIN = 0.05  # of accuracy; an effect counts if the lower end of its 95 % interval exceeds this
DATASETS = ("MNIST", "FashionMNIST", "KMNIST", "Digits")
ONE_OFF = "new tasks, train images"  # what meta-training shows if no task occurs twice

NOTHING = "nothing learned yet"
INSTANCES = "instance memorisation"
TASKS = "task memorisation"
GENERAL = "general-purpose learning"


@dataclass(frozen=True)
class Diagnosis:
    """A diagnosis and its evidence.

    Args:
        phase: `NOTHING`, `INSTANCES`, `TASKS` or `GENERAL`.
        reasons: the evidence, one line each.
        learner: its name and what it was meta-trained on, if known.
        missing: unseen dataset → why the learner was not evaluated on it.
    """

    phase: str
    reasons: tuple[str, ...]
    learner: str = ""
    missing: dict[str, str] = field(default_factory=dict)


def diagnose(results: Mapping[str, Summary], chance: float = 0.1, meta_training: str = SEEN_TASK) -> Diagnosis:
    """Return the diagnosis that follows from the results of evaluations.

    Args:
        results: of the evaluations `"seen-task"` and `"unseen-task"`, and optionally of `"seen tasks, new examples"`
            and of unseen datasets by name.
        chance: accuracy without any learning: 1/K, or that of the learner `majority` if the labels are unbalanced.
        meta_training: what the reasons call the tasks of meta-training.
    """
    seen, unseen = results[SEEN_TASK], results[UNSEEN_TASK]
    reasons = [_rise(meta_training, seen), _rise(UNSEEN_TASK, unseen)]
    if NEW_EXAMPLES in results:
        reasons.append(_rise(NEW_EXAMPLES, results[NEW_EXAMPLES]))
    if unseen.gain.low > MARGIN:
        others = [name for name in results if name not in (SEEN_TASK, UNSEEN_TASK, NEW_EXAMPLES)]
        return Diagnosis(GENERAL, (*reasons, *(_rise(name, results[name]) for name in others)))
    if seen.gain.low > MARGIN:
        return Diagnosis(TASKS, tuple(reasons))
    if seen.final.low <= chance + MARGIN:
        return Diagnosis(NOTHING, (*reasons, f"{meta_training}: at chance ({100 * chance:.0f} %)"))
    if NEW_EXAMPLES in results:
        reasons.append(_what_it_remembers(seen, results[NEW_EXAMPLES], chance))
    return Diagnosis(INSTANCES, tuple(reasons))


def _what_it_remembers(seen: Summary, new: Summary, chance: float) -> str:
    """For a learner that does not learn within the episode: does it remember single examples, or their tasks?"""
    known = (
        f"first example: {100 * seen.first.mean:.0f} % correct if seen in meta-training, {100 * new.first.mean:.0f} % "
        "if new in a seen task"
    )
    if new.first.low <= chance + MARGIN:
        return f"{known}; it remembers single examples"
    if new.first.high + MARGIN < seen.first.mean:
        return f"{known}; it remembers single examples, and something of their tasks"
    return f"{known}; it remembers the tasks, not only their examples"


def _rise(name: str, result: Summary) -> str:
    percent = [100 * value for value in (result.first.mean, result.final.mean, *result.gain)]
    return "{}: {:.0f} → {:.0f} %, gain {:+.1f} [{:+.1f}, {:+.1f}]".format(name, *percent)


def diagnose_learner(
    learner: str, env_kwargs: dict[str, Any], *, episodes: int = 512, device: str = "cpu"
) -> Diagnosis:
    """Evaluate a learner on the tasks of its meta-training, on new ones and on unseen datasets, and diagnose it.

    Args:
        learner: as for `make_learner`, with arguments after commas.
        env_kwargs: arguments of the distribution of its meta-training; see `meta_training_kwargs`.
        episodes: episodes of each evaluation.
        device: cpu or cuda.

    Raises:
        ValueError: an unknown learner or argument.
        LearnerCheckError: the learner fails `gpicl_envs.check_learner`.
    """
    env_kwargs = {"split": "train"} | env_kwargs | {"device": device}
    tasks = make_tasks(**env_kwargs)
    made = LearnerSpec.parse(learner).make_for(tasks)
    check_learner(made, length=min(24, tasks.length))
    baseline = LearnerSpec.parse("uniform" if tasks.is_regression else "majority").make_for(tasks)
    evaluations = [seen_tasks(episodes), unseen_tasks(episodes)]
    if tasks.n_tasks is not None:  # there are no new examples of tasks that occur only once
        evaluations.append(new_examples(episodes))
    others, unseen = (FUNCTION_CLASSES, unseen_function) if tasks.is_regression else (DATASETS, unseen_dataset)
    evaluations += [unseen(name, episodes) for name in others if name != tasks.name]
    available, missing = find_available(evaluations, env_kwargs)
    results, chance = {}, 0.0 if tasks.is_regression else 1 / tasks.n_classes
    for evaluation, shown in available:
        curve, other = evaluate_all([made, baseline], shown, episodes=episodes, seed=SEED, protocol=evaluation.protocol)
        if tasks.is_regression:
            results[evaluation.name] = summarize_values(curve, other, shown.target_variance)
            continue
        results[evaluation.name] = summarize(curve, other)
        if evaluation.name == SEEN_TASK:
            chance = max(chance, float(other.final.mean))
    found = diagnose(results, chance, ONE_OFF if tasks.n_tasks is None else SEEN_TASK)
    number = "unlimited tasks" if tasks.n_tasks is None else f"{tasks.n_tasks:,} task{'s' * (tasks.n_tasks > 1)}"
    what = ("% of the targets' variance explained:",) if tasks.is_regression else ()
    trained = "meta-trained" if made.n_parameters else "not meta-trained,"
    return replace(
        found,
        reasons=(*what, *found.reasons),
        learner=f"{made.name}, {trained} on {number} of {tasks.name}",
        missing={
            name: "it is not available (gpicl data list)" if isinstance(error, MissingDataError) else str(error)
            for name, error in missing.items()
        },
    )


def meta_training_kwargs(learner: str, **changes: Any) -> dict[str, Any]:
    """Return the arguments of the distribution that a checkpoint was meta-trained on.

    Args:
        learner: as for `make_learner`. One that is not a checkpoint counts as meta-trained on MNIST (see also
            `recorded_kwargs`).
        **changes: arguments that replace those of the checkpoint.

    Raises:
        ValueError: together they make no tasks; the message names the checkpoint's file.
    """
    folder = checkpoint_folder(learner)
    return {"dataset": "MNIST"} | changes if folder is None else recorded_kwargs(folder, **changes)


def checkpoint_folder(learner: str) -> Folder | None:
    """Return the folder of a learner's checkpoint, pulled if it is on a hub; None if it has none."""
    spec = LearnerSpec.parse(learner)
    if spec.scheme == "hf":
        return pull(spec.target)
    folder = str(FOLDER / spec.target) if spec.scheme == "pretrained" else spec.target
    return folder if spec.scheme in ("pretrained", CHECKPOINT) and os.path.isdir(folder) else None
