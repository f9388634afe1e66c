"""Has it become a learning algorithm? The three-way diagnosis of the paper's poster, from evidence with intervals.

| accuracy rises within the episode on | diagnosis |
|---|---|
| neither seen nor unseen tasks | it has memorised instances (or, where it is at chance, nothing yet) |
| seen tasks alone | it identifies which of the seen tasks this is: task memorisation |
| unseen tasks, and as a rule seen ones | general-purpose in-context learning |

Where labels are unbalanced, counting them makes accuracy rise too: `gpicl diagnose` subtracts what the learner
`majority` gains on the same episodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARGIN = 0.05  # of accuracy: what the lower end of a 95 % interval must exceed to count
SEEN, NEW_EXAMPLES, UNSEEN = "seen-task", "seen tasks, new examples", "unseen-task"

NOTHING = "nothing learned yet"
INSTANCES = "instance memorisation"
TASKS = "task memorisation"
GENERAL = "general-purpose learning"
PHASES = (NOTHING, INSTANCES, TASKS, GENERAL)

Answers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """A diagnosis and why.

    Args:
        phase: one of `PHASES`.
        reasons: what it rests on, a sentence each.
    """

    phase: str
    reasons: tuple[str, ...]


def diagnose(answers: Answers, chance: float = 0.1, seen_tasks: str = SEEN) -> Diagnosis:
    """Return the diagnosis of a learner.

    Args:
        answers: what `run_trial` keeps of each question: `"seen-task"`, `"unseen-task"`, and where asked
            `"seen tasks, new examples"` and unseen datasets by name.
        chance: accuracy without any learning: 1/K, or that of counting labels where they are unbalanced.
        seen_tasks: what the reasons call the tasks of meta-training.
    """
    seen, unseen = answers[SEEN], answers[UNSEEN]
    learns, generalises = _rises(seen), _rises(unseen)
    reasons = [_rise(seen_tasks, seen), _rise(UNSEEN, unseen)]
    if NEW_EXAMPLES in answers:
        reasons.append(_rise(NEW_EXAMPLES, answers[NEW_EXAMPLES]))
    if generalises:
        others = [name for name in answers if name not in (SEEN, UNSEEN, NEW_EXAMPLES)]
        reasons += [_rise(name, answers[name]) for name in others]
        return Diagnosis(GENERAL, tuple(reasons))
    if learns:
        return Diagnosis(TASKS, tuple(reasons))
    if seen["final"][1] <= chance + MARGIN:
        return Diagnosis(NOTHING, (*reasons, f"{seen_tasks}: at chance ({100 * chance:.0f} %)"))
    return Diagnosis(INSTANCES, (*reasons, *_what_it_remembers(answers, chance)))


def _what_it_remembers(answers: Answers, chance: float) -> Sequence[str]:
    """Without learning in the episode: is it the examples that it knows, or the tasks they come from?"""
    if NEW_EXAMPLES not in answers:
        return ()
    (seen, *_), (new, low, high) = answers[SEEN]["first"], answers[NEW_EXAMPLES]["first"]
    known = f"first examples: {100 * seen:.0f} % right if seen before, {100 * new:.0f} % if new in a seen task"
    if low <= chance + MARGIN:
        return (f"{known}: it knows the examples one by one",)
    if high + MARGIN < seen:
        return (f"{known}: it knows examples one by one, and something of their tasks",)
    return (f"{known}: it knows the tasks, not just their examples",)


def _rises(answer: Mapping[str, Any]) -> bool:
    """Whether accuracy over the last ten positions is above that at the first by more than the margin."""
    return bool(answer["gain"][1] > MARGIN)


def _rise(name: str, answer: Mapping[str, Any]) -> str:
    (first, *_), (last, *_), (gain, low, high) = answer["first"], answer["final"], answer["gain"]
    percent = [100 * value for value in (first, last, gain, low, high)]
    return "{}: {:.0f} → {:.0f} %, gain {:+.1f} [{:+.1f}, {:+.1f}]".format(name, *percent)
