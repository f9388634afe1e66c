"""Where a run's numbers go beside `metrics.jsonl`: the protocol of trackers, and how a training calls them."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from gpicl_agents.training.random_state import unchanged
from gpicl_envs.errors import UnknownNameError, one_line
from gpicl_envs.learners.plugins import plugins

TRACKERS_GROUP = "gpicl.trackers"  # of entry points


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker learns of a run before its first step.

    Args:
        name: of the run's folder.
        folder: the run's folder, in which the tracker may keep files.
        config: the arguments of the `learner`, the `tasks` and the `training`, by name, as JSON has them.
        step: of the checkpoint from which the run continues; 0 from scratch.
        resume: whether the run was to be resumed: a tracker then continues its own run, if it has one in the folder.
    """

    name: str
    folder: Path
    config: dict[str, dict[str, Any]]
    step: int
    resume: bool


@runtime_checkable
class Tracker(Protocol):
    """What training calls: an exception of `begin` stops it, one of the other methods only ends the tracking."""

    def begin(self, run: TrackedRun) -> int:
        """Open the run, or continue it, and return the last step that is known already (0 for none).

        `log` then gets all that `metrics.jsonl` has of later steps, and none of earlier ones.
        """

    def log(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        """Take the numbers of some steps, by step and name; if the process is killed later, they must not be lost."""

    def close(self, finished: bool) -> None:
        """End the run; `finished` says whether training came to its end, not to an error or an interruption."""


class Tracking:
    """The trackers of a run, some by name and some made by the user: none of them changes its numbers or ends it.

    Args:
        names: of the entry-point group `gpicl.trackers`.
        trackers: objects with the methods of `Tracker`.
        device: of the learner, whose random generator trackers leave as it was.

    Raises:
        UnknownNameError: no tracker has that name.
        ValueError: an object lacks a method.
    """

    def __init__(self, names: Sequence[str], trackers: Sequence[Tracker], device: torch.device) -> None:
        known, self._device = plugins(TRACKERS_GROUP) if names else {}, device
        self._wanted: list[tuple[str, Callable[[], Tracker]]] = []
        for name in dict.fromkeys(names):
            if name not in known:
                raise UnknownNameError("tracker", name, known, "An object is given by train(..., trackers=[...]).")
            self._wanted.append((name, lambda point=known[name]: point.load()()))  # type: ignore[misc]
        for tracker in trackers:
            if not isinstance(tracker, Tracker):
                raise ValueError(
                    f"trackers holds {tracker!r}, which has not all of the methods begin, log and close: give objects "
                    "as `Tracker` describes them; those with a name go into the config, as trackers=('wandb',)."
                )
            self._wanted.append((type(tracker).__name__, lambda tracker=tracker: tracker))  # type: ignore[misc]
        self._active: list[tuple[str, Tracker, int]] = []  # and the last step that it knows from before

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def begin(self, run: TrackedRun, history: Iterable[Mapping[str, Any]]) -> None:
        """Begin every tracker, and send it what it lacks of the metrics so far; raises ValueError if one cannot."""
        for name, make in self._wanted:
            try:
                with unchanged(self._device):
                    tracker = make()
                    self._active.append((name, tracker, tracker.begin(deepcopy(run))))
            except Exception as error:
                raise ValueError(
                    f"The tracker {name} cannot begin, so nothing was trained: {one_line(error)}. Repair that, "
                    "or train without this tracker."
                ) from error
        self.log(history)

    def log(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Send the numbers in lines of `metrics.jsonl`, whole steps; a tracker that fails gets no more."""
        numbers = _numbers_by_step(lines) if self._active else {}
        for active in list(self._active):
            _, tracker, known = active
            new = {step: dict(values) for step, values in numbers.items() if step > known}
            if new:
                self._call(active, tracker.log, new)

    def close(self, finished: bool) -> None:
        """Close the trackers that have not failed."""
        for active in list(self._active):
            self._call(active, active[1].close, finished)
        self._active.clear()

    def _call(self, active: tuple[str, Tracker, int], method: Callable[[Any], None], argument: Any) -> None:
        try:
            with unchanged(self._device):
                method(argument)
        except Exception as error:
            self._active.remove(active)
            warnings.warn(
                f"The tracker {active[0]} failed, and gets no more numbers until the run is resumed; training and "
                f"metrics.jsonl go on. {one_line(error)}",
                RuntimeWarning,
                stacklevel=2,
            )


def _numbers_by_step(lines: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Step → name → number; lists, such as learning curves, are left out."""
    numbers: dict[int, dict[str, float]] = {}
    for line in lines:
        values = {name: value for name, value in line.items() if isinstance(value, float | int) and name != "step"}
        if values:
            numbers.setdefault(line["step"], {}).update(values)
    return numbers
