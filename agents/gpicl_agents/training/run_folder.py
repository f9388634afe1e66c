"""A run's folder: `metrics.jsonl`, TensorBoard events and checkpoints; begun, and gone on with."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gpicl_agents.training.checkpoint import latest_checkpoint, load_trainer, load_weights, read_config, save_checkpoint
from gpicl_envs.learners.base import Learner

METRICS = "metrics.jsonl"


class RunFolder:
    """Metrics and checkpoints of a run, or nothing if there is no folder.

    Args:
        folder: where they go; None for nowhere.
        config: how the run trains, a dataclass with `tensorboard`.
        problem: what must not change when the run is resumed: the episodes, the batch, the learner.
        writes: whether this process writes (one of many does).
    """

    def __init__(self, folder: Path | None, config: Any, problem: dict[str, Any], writes: bool = True) -> None:
        self.folder, self.config, self.problem, self.writes = folder, config, problem, writes and folder is not None
        self._buffer: list[str] = []
        self._board: Any = None

    def log(self, step: int, **values: Any) -> None:
        """Keep values of a step; numbers also go to TensorBoard."""
        if not self.writes:
            return
        self._buffer.append(json.dumps({"step": step} | values) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float | int):
                    self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write what was kept."""
        if self.writes and self._buffer:
            assert self.folder is not None
            with open(self.folder / METRICS, "a", encoding="utf-8") as file:
                file.writelines(self._buffer)
            self._buffer.clear()

    def begin(self, learner: Learner, optimizer: torch.optim.Optimizer, resume: bool) -> dict[str, Any]:
        """Prepare the folder, or go on from its newest checkpoint, whose trainer state is returned ({} for none)."""
        if self.folder is None:
            return {}
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is a file, and a run needs a folder: give another one (--out).")
        if (self.folder / "model.safetensors").exists():
            raise ValueError(
                f"{self.folder} is a checkpoint itself: give the folder of its run, {self.folder.resolve().parent}, or "
                "a new one."
            )
        checkpoint = latest_checkpoint(self.folder)
        if checkpoint is not None and not resume:
            raise ValueError(f"{self.folder} holds a run already: resume it (--resume), or give another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            json.dumps(self.problem)
        except TypeError as error:
            raise ValueError(
                f"{learner.name} cannot be kept as a checkpoint: its arguments are no JSON ({error})."
            ) from None
        state: dict[str, Any] = {}
        if checkpoint is not None:
            self._check_problem(checkpoint)
            load_weights(checkpoint, learner)
            state = load_trainer(checkpoint)
            settings = [{**group, "params": None} for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizer"])
            for group, setting in zip(optimizer.param_groups, settings, strict=True):  # those of now, not of the file
                group |= {name: setting[name] for name in ("betas", "eps", "weight_decay")}
            torch.set_rng_state(state["rng"])
        if self.writes:
            self._forget_after(state.get("step", 0))
            if self.config.tensorboard:
                self._board = _tensorboard(self.folder, state.get("step", 0))
        return state

    def save(self, learner: Learner, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
        """Write a checkpoint with what training needs to go on."""
        if not self.writes:
            return
        assert self.folder is not None
        self.flush()
        state = progress | {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
        save_checkpoint(self.folder, learner, state, {"problem": self.problem, "config": asdict(self.config)})

    def close(self) -> None:
        """Write all that was kept."""
        self.flush()
        if self._board is not None:
            self._board.close()

    def _check_problem(self, checkpoint: Path) -> None:
        """A run goes on with the episodes and the learner that it began with; how it trains may change."""
        began = read_config(checkpoint)["training"].get("problem", {})
        changed = [
            f"{name}={began.get(name)!r}, now {self.problem.get(name)!r}"
            for name in sorted(began.keys() | self.problem.keys())
            if began.get(name) != self.problem.get(name)
        ]
        if changed:
            raise ValueError(
                f"{self.folder} was begun with {'; '.join(changed)}: resume it with the same, or give another folder."
            )

    def _forget_after(self, step: int) -> None:
        """Drop metrics of steps that will be done again."""
        assert self.folder is not None
        path = self.folder / METRICS
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [(number, line) for number, line in enumerate(lines, start=1) if line.endswith("\n")]
            kept = [line for number, line in whole if self._step_of(path, number, line) <= step]
            shortened = path.with_suffix(".partial")
            shortened.write_text("".join(kept), encoding="utf-8")
            shortened.replace(path)  # at once, so that a kill here loses nothing

    @staticmethod
    def _step_of(path: Path, number: int, line: str) -> int:
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path}, line {number} is not a step's metrics: remove that line, or give another folder."
            ) from None


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's `metrics.jsonl`: losses of every step, evaluations, and the end of the plateau."""
    return [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            "tensorboard=True needs the package tensorboard: pip install 'gpicl-envs[tracking]'."
        ) from None
    return SummaryWriter(folder / "tensorboard", purge_step=step + 1)
