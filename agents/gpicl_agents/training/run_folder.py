"""A run's folder: `metrics.jsonl` and checkpoints, from which the run is resumed, and what trackers keep."""

import inspect
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from gpicl_agents.training.checkpoint import (
    MODEL,
    Folder,
    check_savable,
    latest_checkpoint,
    load_trainer,
    load_weights,
    read_config,
    save_checkpoint,
)
from gpicl_agents.training.exact_json import encode_exactly
from gpicl_agents.training.random_state import random_state, restore_random_state
from gpicl_agents.training.tracking import TrackedRun, Tracker, Tracking
from gpicl_envs.datasets.files import exclusive, write_text, writing
from gpicl_envs.learners.base import Learner

METRICS = "metrics.jsonl"
WRITE_EVERY = 10.0  # seconds; evaluations and checkpoints write at once


class TrainedOn(Protocol):
    """What a learner is trained on: a distribution of episodes or problems."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What must not change when the run is resumed, by name."""


class RunFolder:
    """Metrics and checkpoints of a run; without a folder, nothing is written.

    Args:
        folder: where they go, or None.
        config: how the run trains: a dataclass with `trackers`, names.
        learner: what is trained.
        tasks: what it is trained on, tasks or problems.
        fixed: what else must not change when the run is resumed, such as the batch size.
        writes: whether this process writes (one of several does).
        trackers: further trackers, as objects.

    Raises:
        ValueError: there is no such tracker, or trackers are given without a folder.
    """

    def __init__(
        self,
        folder: Folder | None,
        config: Any,
        learner: Learner,
        tasks: TrainedOn,
        fixed: dict[str, Any],
        writes: bool = True,
        trackers: Sequence[Tracker] = (),
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.config, self.learner, self.writes = config, learner, writes and folder is not None
        self.problem = tasks.arguments | fixed | _of_learner(learner.get_params())
        self.arguments = {"learner": {"name": learner.name} | learner.get_params(), "tasks": tasks.arguments | fixed}
        self._defaults = asdict(type(config)()) | _defaults(tasks) | _of_learner(_defaults(learner))
        self.finished = False  # set once training has come to its end
        self._lines: list[dict[str, Any]] = []
        self._written_at = time.monotonic()
        self._held = ExitStack()  # the folder's lock
        self._tracking = Tracking(config.trackers, trackers, learner.device)
        if self._tracking and folder is None:
            raise ValueError("Trackers need a folder for the run, from which it can be resumed: give folder=.")

    def log(self, step: int, **values: Any) -> None:
        """Keep values of a step, and write those of earlier ones if that is due."""
        if not self.writes:
            return
        is_new_step = bool(self._lines) and step != self._lines[-1]["step"]
        if is_new_step and time.monotonic() - self._written_at > WRITE_EVERY:
            self.flush()
        self._lines.append({"step": step} | values)

    def flush(self) -> None:
        """Write the values kept, of whole steps; trackers get them first, so that they lack nothing of the file."""
        self._written_at = time.monotonic()
        if self._lines:
            assert self.folder is not None
            path, lines = self.folder / METRICS, self._lines
            text = "".join(json.dumps(line) + "\n" for line in lines)
            self._lines = []  # also if the disk is full: what was written in part is not written twice
            self._tracking.log(lines)
            with writing(path), open(path, "a", encoding="utf-8") as file:
                file.write(text)

    def begin(self, optimizer: torch.optim.Optimizer, resume: bool) -> dict[str, Any]:
        """Prepare the folder; to resume, load its newest checkpoint and return the trainer's state ({} for none).

        From here to `close`, no other process trains in the folder. Raises ValueError if one does, if this cannot be a
        run's folder, or if it holds a run that is not to be resumed.
        """
        if self.folder is None:
            return {}
        self._check_folder()
        if self.writes:
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(exclusive(self.folder))
        checkpoint = latest_checkpoint(self.folder)
        if not resume and (checkpoint is not None or (self.folder / METRICS).exists()):
            raise ValueError(f"{self.folder} holds a run already: resume it (--resume), or give another folder.")
        state = {} if checkpoint is None else self._load(checkpoint, optimizer)
        if self.writes:
            self._forget_after(state.get("step", 0))
            if self._tracking:
                self._begin_trackers(state.get("step", 0), resume)
        return state

    def save(self, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
        """Write a checkpoint with all that training needs to continue."""
        if not self.writes:
            return
        assert self.folder is not None
        self.flush()
        state = progress | {"optimizer": optimizer.state_dict()} | random_state(self.learner.device)
        save_checkpoint(self.folder, self.learner, state, {"problem": self.problem, "config": asdict(self.config)})

    def close(self) -> None:
        """Write the values kept, close the trackers, and leave the folder to others."""
        with self._held:
            try:
                self.flush()
            finally:
                self._tracking.close(self.finished)

    def _begin_trackers(self, step: int, resume: bool) -> None:
        assert self.folder is not None
        config = json.loads(_comparable(self.arguments | {"training": asdict(self.config)}))
        history = read_metrics(self.folder) if (self.folder / METRICS).exists() else []
        self._tracking.begin(TrackedRun(self.folder.resolve().name, self.folder, config, step, resume), history)

    def _check_folder(self) -> None:
        """Raise ValueError if this cannot be a run's folder, or if the learner cannot be saved."""
        assert self.folder is not None
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is a file, but a run needs a folder: give another one (--out).")
        if (self.folder / MODEL).exists():
            raise ValueError(
                f"{self.folder} is a checkpoint itself: give the folder of its run, {self.folder.resolve().parent}, or "
                "a new one."
            )
        check_savable(self.learner, self.problem)

    def _load(self, checkpoint: Path, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Restore weights, optimizer and random state, and return the trainer's state."""
        self._check_problem(checkpoint)
        state = load_trainer(checkpoint)  # if it is damaged, the learner stays as it is
        load_weights(checkpoint, self.learner)
        settings = [{**group, "params": None} for group in optimizer.param_groups]
        optimizer.load_state_dict(state["optimizer"])
        for group, setting in zip(optimizer.param_groups, settings, strict=True):  # the config's, not the file's
            group |= {name: setting[name] for name in ("betas", "eps", "weight_decay")}
        restore_random_state(state, self.learner.device)
        return state

    def _check_problem(self, checkpoint: Path) -> None:
        """A run is resumed on the same episodes with the same learner; how it trains may change.

        What the checkpoint does not mention did not exist when it was written, so it had the value that is now the
        default.
        """
        began = read_config(checkpoint)["training"].get("problem", {})
        now = self.problem
        changed = [
            f"{name}={before!r}, now {now.get(name)!r}"
            for name in sorted(began.keys() | now.keys())
            if _comparable(before := began.get(name, self._defaults.get(name))) != _comparable(now.get(name))
        ]
        if changed:
            raise ValueError(
                f"{self.folder} was started with {'; '.join(changed)}: resume it with the same, or give another folder."
            )

    def _forget_after(self, step: int) -> None:
        """Drop the metrics of steps that will be repeated."""
        assert self.folder is not None
        path = self.folder / METRICS
        if not path.exists():
            return
        kept = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
            try:
                if line.endswith("\n") and int(json.loads(line)["step"]) <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                raise ValueError(
                    f"{path}, line {number} is not a step's metrics: remove that line, or give another folder."
                ) from None
        write_text(path, "".join(kept))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's `metrics.jsonl`: losses of every step, evaluations, and the end of the plateau."""
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]


def _comparable(value: Any) -> str:
    """A text that is the same for what is the same argument: also for NaN, and for a tuple that JSON made a list."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else encode_exactly(value)

    return json.dumps(plain(value), sort_keys=True, default=str)


def _of_learner(params: dict[str, Any]) -> dict[str, Any]:
    """The learner's arguments as they are named beside those of the tasks; its seed shapes the first weights only."""
    return {f"learner's {name}": value for name, value in params.items() if name != "seed"}


def _defaults(made: object) -> dict[str, Any]:
    """The defaults of the constructor of an object."""
    parameters = inspect.signature(type(made)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
