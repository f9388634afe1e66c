import json
import math
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import full_disk
from small_training import QUICK, metrics, small_env, small_learner, weights

from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import latest_checkpoint
from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import TrainConfig, train
from gpicl_envs.datasets import files
from gpicl_envs.learners.registry import make_learner


def test_the_run_folder_tells_the_story(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    evaluations = [line for line in lines if "unseen-task_final" in line]
    assert [line["step"] for line in evaluations] == [4, 8, 12] and len(evaluations[0]["unseen-task_accuracy"]) == 10
    rates = [line["learning_rate"] for line in lines if "loss" in line]
    assert rates[0] == pytest.approx(6e-3 / 3) and max(rates) == rates[2] and rates[-1] == pytest.approx(6e-3 / 12)
    assert latest_checkpoint(tmp_path).name == "step-00000012"


def test_resuming_ends_with_the_same_bits(tmp_path: Path):
    whole, part = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise Stop

    with pytest.raises(Stop):
        train(part, small_env(), QUICK, folder=tmp_path / "part", report=stop)
    again = small_learner(seed=9)  # whatever it starts from is overwritten
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))
    losses = ([line["loss"] for line in metrics(tmp_path / name) if "loss" in line] for name in ("whole", "part"))
    assert next(losses) == next(losses)


@pytest.mark.parametrize(
    ("batch", "arguments", "seed", "message"),
    [
        (8, {}, 0, "was started with batch_size=4, now 8: resume it with the same"),
        (4, {"n_tasks": 5}, 0, "n_tasks=None, now 5"),
        (4, {}, 1, "seed=0, now 1"),
    ],
    ids=str,
)
def test_a_run_is_not_resumed_on_other_episodes(tmp_path: Path, batch: int, arguments: dict, seed: int, message: str):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        train(small_learner(), small_env(batch, **arguments), replace(QUICK, seed=seed), folder=tmp_path, resume=True)


def test_a_run_is_not_resumed_with_another_learner(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    with pytest.raises(ValueError, match="learner's similarity_bias=8.0, now 3.0"):
        train(small_learner(similarity_bias=3.0), small_env(), QUICK, folder=tmp_path, resume=True)


def test_a_learner_that_forgets_its_arguments_is_refused_before_training(tmp_path: Path):
    class Forgetful(Transformer):
        def __init__(self, secret: int = 3) -> None:
            super().__init__(32, 10, width=8, n_heads=1, input_rank=8)

    with pytest.raises(ValueError, match="does not keep its argument 'secret'"):
        train(Forgetful(), small_env(), QUICK, folder=tmp_path)


def test_all_evaluations_are_in_the_folder(tmp_path: Path):
    config = replace(QUICK, evaluate_seen=True, evaluate_datasets=("Clusters",))
    progress = train(small_learner(), small_env(n_tasks=3), config, folder=tmp_path)
    assert (
        set(progress.curves) == {"unseen-task", "seen-task", "Clusters"}
        and progress.curves["unseen-task"] is progress.curve
    )
    (evaluation,) = [line for line in metrics(tmp_path) if line["step"] == 12 and "unseen-task_final" in line]
    assert {"seen-task_final", "Clusters_final", "Clusters_accuracy"} <= evaluation.keys()


def test_a_checkpoint_is_not_taken_for_a_run_s_folder(tmp_path):
    config = TrainConfig(steps=2, evaluate_every=0, checkpoint_every=1)
    train(small_learner(), small_env(), config, folder=tmp_path / "run")
    checkpoint = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    before = sorted(path.name for path in checkpoint.iterdir())
    with pytest.raises(ValueError, match="is a checkpoint itself: give the folder of its run"):
        train(small_learner(), small_env(), config, folder=checkpoint, resume=True)
    assert sorted(path.name for path in checkpoint.iterdir()) == before
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, but a run needs a folder"):
        train(small_learner(), small_env(), config, folder=tmp_path / "file")


def test_what_trains_a_run_may_change_and_what_it_trains_on_may_not(tmp_path):
    config = TrainConfig(steps=1, evaluate_every=0, accumulate=2)
    train(small_learner(), small_env(), config, folder=tmp_path)
    with pytest.raises(ValueError, match="was started with accumulate=2, now 1"):
        train(small_learner(), small_env(), TrainConfig(steps=2, evaluate_every=0), folder=tmp_path, resume=True)
    broken = tmp_path / "metrics.jsonl"
    broken.write_text(broken.read_text() + "broken\n")
    with pytest.raises(ValueError, match="metrics.jsonl, line 2 is not a step's metrics"):
        train(small_learner(), small_env(), replace(config, steps=2), folder=tmp_path, resume=True)


def without(folder: Path, *names: str) -> None:
    """Make a run's checkpoint one of a version that did not have these arguments yet."""
    path = latest_checkpoint(folder) / "config.json"
    config = json.loads(path.read_text())
    for name in names:
        del config["training"]["problem"][name]
    path.write_text(json.dumps(config))


def test_an_argument_that_a_checkpoint_does_not_have_reads_as_its_default(tmp_path: Path):
    """Of the tasks, of the learner, and of the training."""
    train(small_learner(similarity_bias=0.0), small_env(), QUICK, folder=tmp_path)
    without(tmp_path, "examples_per_task", "drift", "learner's similarity_bias", "accumulate")
    longer, learner = replace(QUICK, steps=14), small_learner(similarity_bias=0.0)
    assert train(learner, small_env(), longer, folder=tmp_path, resume=True).step == 14


@pytest.mark.parametrize(
    ("env", "learner", "accumulate", "message"),
    [
        ({"examples_per_task": 20, "n_tasks": 3}, {}, 1, "was started with examples_per_task=None, now 20"),
        ({"n_tasks": 3}, {"similarity_bias": 3.0}, 1, "was started with learner's similarity_bias=0.0, now 3.0"),
        ({"n_tasks": 3}, {}, 2, "was started with accumulate=1, now 2"),
    ],
    ids=["tasks", "learner", "training"],
)
def test_an_argument_that_a_checkpoint_does_not_have_must_have_its_default_now(
    tmp_path: Path, env: dict, learner: dict, accumulate: int, message: str
):
    train(small_learner(similarity_bias=0.0), small_env(n_tasks=3), QUICK, folder=tmp_path)
    without(tmp_path, "examples_per_task", "learner's similarity_bias", "accumulate")
    made, config = small_learner(**{"similarity_bias": 0.0} | learner), replace(QUICK, accumulate=accumulate)
    with pytest.raises(ValueError, match=message):
        train(made, small_env(**env), config, folder=tmp_path, resume=True)


def test_arguments_that_json_changes_are_the_same_after_it(tmp_path: Path):
    """A tuple is a list in the file."""

    class Layers(Transformer):
        def __init__(self, sizes: tuple[int, ...] = (1, 2)) -> None:
            super().__init__(32, 10, width=8, n_heads=1, input_rank=8)
            self.sizes = sizes

    train(Layers(), small_env(), QUICK, folder=tmp_path)
    assert train(Layers(), small_env(), replace(QUICK, steps=13), folder=tmp_path, resume=True).step == 13
    without(tmp_path, "learner's sizes")
    assert train(Layers(), small_env(), replace(QUICK, steps=14), folder=tmp_path, resume=True).step == 14


def stop_at(step: int, *, error: type[BaseException] = RuntimeError) -> Callable[[Progress], None]:
    """A report that ends training after a step."""

    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise error

    return stop


def test_metrics_without_a_checkpoint_are_a_run_too_and_are_not_erased(tmp_path: Path):
    config = replace(QUICK, checkpoint_every=0)
    with pytest.raises(RuntimeError):
        train(small_learner(), small_env(), config, folder=tmp_path, report=stop_at(6))
    before = (tmp_path / "metrics.jsonl").read_bytes()
    assert before and latest_checkpoint(tmp_path) is None
    with pytest.raises(ValueError, match="holds a run already: resume it"):
        train(small_learner(), small_env(), config, folder=tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    train(small_learner(), small_env(), config, folder=tmp_path, resume=True)
    assert [line["step"] for line in metrics(tmp_path) if "loss" in line] == list(range(1, 13))


def test_a_second_process_is_refused_and_the_folder_is_free_again_at_the_end(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.1)

    def try_another(progress: Progress) -> None:
        with ThreadPoolExecutor(1) as other, pytest.raises(ValueError, match=f"{tmp_path.name} is in use by another"):
            other.submit(train, small_learner(), small_env(), QUICK, folder=tmp_path, resume=True).result()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        train(small_learner(), small_env(), QUICK, folder=tmp_path, report=try_another)
    with ThreadPoolExecutor(1) as other:
        other.submit(train, small_learner(), small_env(), QUICK, folder=tmp_path, resume=True).result()


def test_a_run_that_reached_its_target_is_finished_until_the_target_is_raised(tmp_path: Path):
    config = replace(QUICK, target=0.0)
    assert train(small_learner(), small_env(), config, folder=tmp_path).stopped == "target"
    learner = small_learner()
    progress = train(learner, small_env(), config, folder=tmp_path, resume=True)
    assert (progress.step, progress.stopped) == (4, "target")
    assert train(learner, small_env(), replace(config, target=1.0), folder=tmp_path, resume=True).step == 12


NAMES = {1: "a", (2, 3): "b"}


class Odd(Transformer):
    """A learner with arguments of every kind that JSON changes, and a state of its own beside its weights."""

    def __init__(
        self,
        n_features=32,
        n_classes=10,
        sizes=(16, 1),
        scale=math.nan,
        names=NAMES,
        seed=0,
        extra=None,
    ):
        assert isinstance(sizes, tuple) and names.keys() == NAMES.keys()
        super().__init__(n_features, n_classes, width=sizes[0], n_heads=sizes[1], input_rank=8, seed=seed)
        self.sizes, self.scale, self.names, self.extra = sizes, scale, names, extra
        self.unused = torch.nn.Parameter(torch.ones(3))
        self.drawn: list[float] = []
        self.history = {"steps": (0,)}

    def predict(self, x, y):
        if self.training:
            self.drawn.append(random.random() + float(np.random.normal()))
            self.history["steps"] = (*self.history["steps"], len(self.drawn))
        return super().predict(x, y) * (1 + (self.drawn[-1] if self.drawn else 0))

    def get_extra_state(self):
        return {"drawn": list(self.drawn), "history": self.history, "tensor": torch.tensor(self.drawn)}

    def set_extra_state(self, state):
        assert torch.equal(state["tensor"], torch.tensor(state["drawn"]))
        self.drawn, self.history = state["drawn"], state["history"]


def test_odd_arguments_extra_state_and_numbers_of_numpy_and_python_are_resumed(tmp_path: Path):
    whole, part, again = Odd(), Odd(), Odd(seed=4)
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train(part, small_env(), QUICK, folder=tmp_path / "part", report=stop_at(7))
    random.seed(9), np.random.seed(9)  # another process starts elsewhere
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert len(whole.drawn) == 12 and again.drawn == whole.drawn and again.history == whole.history
    assert torch.equal(weights(whole), weights(again))
    loaded = make_learner(f"{Odd.__module__}:Odd@{tmp_path / 'part'}")
    assert (loaded.sizes, loaded.names, loaded.drawn) == (whole.sizes, whole.names, whole.drawn)
    assert math.isnan(loaded.scale)


def test_an_argument_that_is_odd_and_changes_is_noticed(tmp_path: Path):
    train(Odd(), small_env(), QUICK, folder=tmp_path)
    for changed in ({"scale": 1.0}, {"names": {1: "a", (2, 3): "c"}}, {"extra": (1,)}):
        with pytest.raises(ValueError, match=f"was started with learner's {next(iter(changed))}="):
            train(Odd(**changed), small_env(), QUICK, folder=tmp_path, resume=True)


def test_a_checkpoint_of_before_trackers_is_resumed(tmp_path: Path):
    """Its config has `tensorboard`, and none of `trackers`."""
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    path = latest_checkpoint(tmp_path) / "config.json"
    config = json.loads(path.read_text())
    del config["training"]["config"]["trackers"]
    config["training"]["config"]["tensorboard"] = True
    path.write_text(json.dumps(config))
    assert train(small_learner(), small_env(), replace(QUICK, steps=14), folder=tmp_path, resume=True).step == 14


def test_a_long_run_writes_its_metrics_between_evaluations(tmp_path: Path, monkeypatch):
    config, seen = replace(QUICK, evaluate_every=0, checkpoint_every=0), []

    def look(progress: Progress) -> None:
        seen.append(len(metrics(tmp_path)) if (tmp_path / "metrics.jsonl").exists() else 0)

    train(small_learner(), small_env(), config, folder=tmp_path / "often", report=look)
    assert set(seen) == {0}
    monkeypatch.setattr("gpicl_agents.training.run_folder.WRITE_EVERY", 0.0)
    seen.clear()
    train(small_learner(), small_env(), config, folder=tmp_path, report=look)
    assert seen == [*range(11), 12]


def test_an_argument_added_since_has_its_default_in_an_older_run(tmp_path: Path):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    path = latest_checkpoint(tmp_path) / "config.json"
    config = json.loads(path.read_text())
    del config["arguments"]["similarity_bias"], config["training"]["problem"]["learner's similarity_bias"]
    del config["training"]["problem"]["label_noise"]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="learner's similarity_bias=0.0, now 8.0"):
        train(small_learner(), small_env(), QUICK, folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="label_noise=0.0, now 0.5"):
        train(small_learner(), small_env(label_noise=0.5), QUICK, folder=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [({"a": lambda: 0}, "get_extra_state"), ({"a": Path("a")}, "get_extra_state")],
    ids=["a function", "a path"],
)
def test_what_a_checkpoint_cannot_hold_is_refused_before_training(tmp_path: Path, extra: object, reason: str):
    learner = Odd()
    learner.history = extra
    with pytest.raises(ValueError, match=f"cannot be saved in a checkpoint: .*{reason}"):
        train(learner, small_env(), QUICK, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("room", [0, 300, 3_000, 20_000], ids=lambda room: f"{room} bytes")
def test_a_full_disk_names_the_file_and_what_was_written_before_is_resumed(tmp_path: Path, room: int):
    whole, again = small_learner(), small_learner()
    train(whole, small_env(), QUICK, folder=tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train(small_learner(), small_env(), QUICK, folder=tmp_path / "part", report=stop_at(6))
    with (
        full_disk(room),
        pytest.raises(OSError, match=r"(metrics.jsonl|model.safetensors|trainer.pt) cannot be written"),
    ):
        train(small_learner(), small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert not [path for path in (tmp_path / "part").rglob("*") if "partial" in path.name]
    train(again, small_env(), QUICK, folder=tmp_path / "part", resume=True)
    assert torch.equal(weights(whole), weights(again))
    assert [line["step"] for line in metrics(tmp_path / "part") if "loss" in line] == list(range(1, 13))


def test_a_folder_that_is_gone_is_named(tmp_path: Path):
    def remove(progress: Progress) -> None:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)

    with pytest.raises(OSError, match="run.metrics.jsonl cannot be written: No such file"):
        train(small_learner(), small_env(), QUICK, folder=tmp_path / "run", report=remove)
