"""TensorBoard, Weights & Biases and MLflow as trackers; their packages are imported when a run begins."""

import importlib
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from gpicl_agents.training.tracking import TrackedRun
from gpicl_envs.datasets.files import write_text

PROJECT = "gpicl-envs"  # the W&B project and MLflow experiment, if WANDB_PROJECT or MLFLOW_EXPERIMENT_NAME names none
UPLOAD_SECONDS = 300.0  # that W&B may take for what is left at the end of a run
STEPS_PER_BATCH = 25  # MLflow takes at most 1,000 numbers at once
PARAMS_PER_BATCH = 100  # and at most so many parameters


class TensorBoard:
    """Events in the folder `tensorboard`; a resumed run writes what `metrics.jsonl` has again, in place of the old."""

    def begin(self, run: TrackedRun) -> int:
        """Open a file of events that replaces all earlier ones."""
        self.writer = _package("torch.utils.tensorboard", "tensorboard").SummaryWriter(
            run.folder / "tensorboard", purge_step=1
        )
        return 0

    def log(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        """Write scalars."""
        for step, values in numbers.items():
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def close(self, finished: bool) -> None:
        """Close the file."""
        self.writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases with its files in the folder `wandb`; W&B's own variables, as WANDB_MODE, hold."""

    def begin(self, run: TrackedRun) -> int:
        """Start a run, or continue the one whose id is in the folder; offline, it is written from its first step."""
        wandb = _package("wandb", "wandb")
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            dir=run.folder,
            id=_kept_id(run, "wandb"),
            resume="allow",
            reinit="create_new",  # another run of this process goes on
            settings=wandb.Settings(console="off", finish_timeout=UPLOAD_SECONDS),
        )
        _keep_id(run, "wandb", self.run.id)
        self.run.config.update(run.config, allow_val_change=True)
        return int(self.run.starting_step) - 1

    def log(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        """Log each step as one row."""
        for step, values in numbers.items():
            self.run.log(dict(values), step=step, commit=True)

    def close(self, finished: bool) -> None:
        """Wait until all is uploaded, at most five minutes."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run of MLflow, in the store that MLFLOW_TRACKING_URI names (by default `mlflow.db`)."""

    def begin(self, run: TrackedRun) -> int:
        """Create a run, or continue the one whose id is in the folder."""
        self.mlflow = _package("mlflow", "mlflow")
        self.client = self.mlflow.MlflowClient()
        self.id = _kept_id(run, "mlflow")
        if self.id is None:
            self.id = self.client.create_run(self._experiment(), run_name=run.name).info.run_id
            _keep_id(run, "mlflow", self.id)
        self.client.update_run(self.id, status="RUNNING")
        stored = self.client.get_run(self.id).data
        self._describe(run.config, stored.params)
        histories = (self.client.get_metric_history(self.id, name) for name in stored.metrics)
        return max((metric.step for history in histories for metric in history), default=0)

    def log(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        """Store the numbers; a step is stored whole or not at all."""
        now, steps = int(1000 * time.time()), list(numbers)
        for i in range(0, len(steps), STEPS_PER_BATCH):
            metrics = [
                self.mlflow.entities.Metric(_mlflow_name(name), value, now, step)
                for step in steps[i : i + STEPS_PER_BATCH]
                for name, value in numbers[step].items()
            ]
            self.client.log_batch(self.id, metrics=metrics)

    def close(self, finished: bool) -> None:
        """Set the run's status."""
        self.client.set_terminated(self.id, status="FINISHED" if finished else "KILLED")

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self.client.get_experiment_by_name(name)
        found: str = self.client.create_experiment(name) if known is None else known.experiment_id
        return found

    def _describe(self, config: dict[str, dict[str, Any]], stored: dict[str, str]) -> None:
        """Store the arguments as parameters; as tags where a resumed run has others, since parameters cannot change."""
        given = {_mlflow_name(f"{group}.{name}"): str(v) for group, kept in config.items() for name, v in kept.items()}
        new = [self.mlflow.entities.Param(name, value) for name, value in given.items() if name not in stored]
        for i in range(0, len(new), PARAMS_PER_BATCH):
            self.client.log_batch(self.id, params=new[i : i + PARAMS_PER_BATCH])
        for name, value in given.items():
            if stored.get(name, value) != value:
                self.client.set_tag(self.id, name, value)


def _package(module: str, name: str) -> Any:
    """The module that a tracker needs."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"it needs the package {name}: pip install 'gpicl-envs[{name}]'") from error


def _kept_id(run: TrackedRun, tracker: str) -> str | None:
    """The id that a tracker gave to the run before; None for a new run."""
    path = run.folder / f"{tracker}-run.txt"
    return path.read_text(encoding="utf-8").strip() if run.resume and path.is_file() else None


def _keep_id(run: TrackedRun, tracker: str, run_id: str) -> None:
    write_text(run.folder / f"{tracker}-run.txt", f"{run_id}\n")


def _mlflow_name(name: str) -> str:
    """A name without the characters that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", name)
