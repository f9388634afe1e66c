"""What no tracker, however broken, may do to a training, and what every tracker gets."""

import random
import signal
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_training import QUICK, metrics, small_env, small_learner, weights

from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.config import RewardConfig, TrainConfig
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.reinforce import train_from_reward
from gpicl_agents.training.supervised import train
from gpicl_agents.training.tracking import TrackedRun, Tracking


class Notebook:
    """Keeps what it gets; known steps are those that it is told to have already."""

    def __init__(self, known: int = 0, fail_in: str = "", fail_at: int = 0) -> None:
        self.known, self.fail_in, self.fail_at = known, fail_in, fail_at
        self.begun: list[TrackedRun] = []
        self.numbers: dict[int, dict[str, float]] = {}
        self.closed: list[bool] = []

    def begin(self, run: TrackedRun) -> int:
        self.begun.append(run)
        if self.fail_in == "begin":
            raise ConnectionError("no network")
        return self.known

    def log(self, numbers: Mapping[int, Mapping[str, float]]) -> None:
        assert not self.numbers.keys() & numbers.keys(), "a step comes whole, and once"
        self.numbers |= {step: dict(values) for step, values in numbers.items()}
        if self.fail_in == "log" and max(self.numbers) >= self.fail_at:
            raise ConnectionError("the server is gone")

    def close(self, finished: bool) -> None:
        self.closed.append(finished)
        if self.fail_in == "close":
            raise ConnectionError("the server is gone")


def numbers_of(folder: Path) -> dict[int, dict[str, float]]:
    """The numbers of metrics.jsonl by step."""
    found: dict[int, dict[str, float]] = {}
    for line in metrics(folder):
        kept = {k: v for k, v in line.items() if k != "step" and not isinstance(v, list)}
        found.setdefault(line["step"], {}).update(kept)
    return found


def plain_weights(**arguments: Any) -> torch.Tensor:
    learner = small_learner(**arguments)
    train(learner, small_env(), QUICK)
    return weights(learner)


def test_a_tracker_gets_the_numbers_of_the_file_and_what_the_run_is(tmp_path: Path):
    tracker = Notebook()
    train(small_learner(), small_env(), QUICK, folder=tmp_path / "mine", trackers=[tracker])
    assert tracker.numbers == numbers_of(tmp_path / "mine") and list(tracker.numbers) == list(range(1, 13))
    assert {"loss", "learning_rate", "seconds", "unseen-task_final"} <= tracker.numbers[12].keys()
    (run,) = tracker.begun
    assert (run.name, run.folder, run.step, run.resume) == ("mine", tmp_path / "mine", 0, False)
    assert run.config["training"]["steps"] == 12 and run.config["training"]["betas"] == [0.9, 0.98]
    assert run.config["learner"].items() >= {"name": "transformer+similarity", "width": 16}.items()
    assert run.config["tasks"].items() >= {"dataset": "Digits", "n_features": 32, "batch_size": 4}.items()
    assert tracker.closed == [True]


def test_training_from_rewards_has_trackers_too(tmp_path: Path):
    tracker, learner = Notebook(), Transformer(32, 10, width=16, n_heads=1, input_rank=8)
    train_from_reward(learner, small_env(), RewardConfig(steps=3), folder=tmp_path, trackers=[tracker])
    assert tracker.numbers == numbers_of(tmp_path) and tracker.numbers[3].keys() >= {"reward", "learning_rate"}
    assert tracker.closed == [True]


def test_numbers_come_while_a_long_run_is_between_its_evaluations(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("gpicl_agents.training.run_folder.WRITE_EVERY", 0.0)
    tracker, seen = Notebook(), []
    config = replace(QUICK, evaluate_every=0, checkpoint_every=0)
    report = lambda progress: seen.append(len(tracker.numbers))  # noqa: E731
    train(small_learner(), small_env(), config, folder=tmp_path, trackers=[tracker], report=report)
    assert seen[:-1] == list(range(11)) and tracker.numbers == numbers_of(tmp_path)


@pytest.mark.parametrize("fail_at", [1, 5, 12])
def test_a_tracker_that_fails_in_the_middle_ends_alone(tmp_path: Path, fail_at: int):
    failing, other, learner = Notebook(fail_in="log", fail_at=fail_at), Notebook(), small_learner()
    with pytest.warns(RuntimeWarning, match="The tracker Notebook failed.*ConnectionError: the server is gone") as told:
        train(learner, small_env(), QUICK, folder=tmp_path, trackers=[failing, other])
    assert len([warning for warning in told if "tracker" in str(warning.message)]) == 1
    assert torch.equal(weights(learner), plain_weights())
    assert [line["step"] for line in metrics(tmp_path) if "loss" in line] == list(range(1, 13))
    assert other.numbers == numbers_of(tmp_path) and other.closed == [True]
    assert failing.closed == [] and max(failing.numbers) == {1: 4, 5: 5, 12: 12}[fail_at]  # when it was written to


def test_a_tracker_that_cannot_close_is_a_warning(tmp_path: Path):
    with pytest.warns(RuntimeWarning, match="the server is gone"):
        assert train(small_learner(), small_env(), QUICK, folder=tmp_path, trackers=[Notebook(fail_in="close")]).step
    assert len(numbers_of(tmp_path)) == 12


def test_a_tracker_that_cannot_begin_stops_before_the_first_step(tmp_path: Path):
    first, learner = Notebook(), small_learner()
    trackers = [first, Notebook(fail_in="begin")]
    with pytest.raises(ValueError, match="The tracker Notebook cannot begin, so nothing was trained: .*no network"):
        train(learner, small_env(), QUICK, folder=tmp_path, trackers=trackers)
    assert first.closed == [False] and first.numbers == {}
    assert torch.equal(weights(learner), weights(small_learner())) and not (tmp_path / "metrics.jsonl").exists()
    train(learner, small_env(), QUICK, folder=tmp_path)  # the folder is free


class Meddler(Notebook):
    """Draws from and reseeds all global generators, and changes what it is given."""

    def meddle(self) -> None:
        torch.manual_seed(0), torch.rand(3), np.random.seed(1), random.seed(2)

    def begin(self, run: TrackedRun) -> int:
        self.meddle()
        run.config["training"]["steps"] = 1
        return super().begin(run)

    def log(self, numbers: Any) -> None:
        self.meddle()
        for values in numbers.values():
            values["loss"] = -1.0
        numbers.clear()

    def close(self, finished: bool) -> None:
        self.meddle()


class Noisy(Transformer):
    """Its training depends on the global generators."""

    def predict(self, x, y):
        noise = torch.rand(1) + random.random() + float(np.random.rand()) if self.training else 1.0
        return super().predict(x, y) * noise


def test_a_tracker_changes_neither_random_numbers_nor_what_others_get(tmp_path: Path):
    one, other = (Noisy(32, 10, width=16, n_heads=1, input_rank=8) for _ in range(2))
    tracked = Notebook()
    train(one, small_env(), QUICK, folder=tmp_path / "plain")
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    train(other, small_env(), QUICK, folder=tmp_path / "tracked", trackers=[Meddler(), tracked])
    assert torch.equal(weights(one), weights(other)) and np.array_equal(np.random.get_state()[1], before)
    assert tracked.numbers == numbers_of(tmp_path / "tracked")
    assert tracked.begun[0].config["training"]["steps"] == 12
    losses = [[row["loss"] for row in numbers_of(tmp_path / name).values()] for name in ("plain", "tracked")]
    assert losses[0] == losses[1] and len(losses[0]) == 12


def stop_at(step: int) -> Any:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise RuntimeError("stop")

    return stop


def test_a_resumed_run_sends_what_each_tracker_lacks(tmp_path: Path):
    first = Notebook()
    with pytest.raises(RuntimeError, match="stop"):
        train(small_learner(), small_env(), QUICK, folder=tmp_path, trackers=[first], report=stop_at(7))
    assert first.closed == [False] and max(first.numbers) == 7  # the checkpoint has step 5
    lacks_some, ahead, new = Notebook(known=2), Notebook(known=7), Notebook()
    trackers = [lacks_some, ahead, new]
    train(small_learner(), small_env(), QUICK, folder=tmp_path, resume=True, trackers=trackers)
    assert [(run.step, run.resume) for run in lacks_some.begun] == [(5, True)]
    assert list(lacks_some.numbers) == list(range(3, 13)) and list(ahead.numbers) == list(range(8, 13))
    assert new.numbers == numbers_of(tmp_path) and len(new.numbers) == 12


def test_an_interrupted_run_is_not_finished(tmp_path: Path):
    tracker = Notebook()

    def interrupt(progress: Progress) -> None:
        if progress.step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(small_learner(), small_env(), QUICK, folder=tmp_path, trackers=[tracker], report=interrupt)
    assert tracker.closed == [False] and tracker.numbers == numbers_of(tmp_path)


# -- By name -----------------------------------------------------------------------------------------------------------


def test_an_unknown_name_lists_the_others_and_leaves_no_folder(tmp_path: Path):
    with pytest.raises(ValueError, match="Unknown tracker 'wandbb'. Did you mean 'wandb'.*mlflow, tensorboard, wandb"):
        train(small_learner(), small_env(), replace(QUICK, trackers=("wandbb",)), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_packages_add_trackers(tmp_path: Path, monkeypatch):
    theirs = (("their-package", EntryPoint("notes", f"{__name__}:Shared", "gpicl.trackers")),)
    monkeypatch.setattr("gpicl_envs.learners.plugins.installed", lambda group: theirs)
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda: shared)
    shared = Notebook()
    train(small_learner(), small_env(), replace(QUICK, trackers=("notes", "notes")), folder=tmp_path)
    assert len(shared.begun) == 1 and shared.numbers == numbers_of(tmp_path)


def test_objects_that_are_no_trackers_are_explained(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'wandb', which has not all of the methods.*trackers=\('wandb',\)"):
        train(small_learner(), small_env(), QUICK, folder=tmp_path, trackers=["wandb"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="give names, .* an object goes to train"):
        TrainConfig(trackers=(Notebook(),))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trackers='wandb' is not allowed"):
        RewardConfig(trackers="wandb")  # type: ignore[arg-type]


def test_trackers_need_a_folder():
    with pytest.raises(ValueError, match="Trackers need a folder"):
        train(small_learner(), small_env(), QUICK, trackers=[Notebook()])


def test_without_trackers_nothing_is_called_and_nothing_is_said():
    tracking = Tracking((), (), torch.device("cpu"))
    assert not tracking
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracking.log([{"step": 1, "loss": 1.0}])
        tracking.close(True)
