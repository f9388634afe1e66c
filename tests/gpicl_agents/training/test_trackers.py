"""The real packages, without a network: what they have stored is what `metrics.jsonl` has."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_training import QUICK, metrics, small_env, small_learner

from gpicl_agents.training.progress import Progress
from gpicl_agents.training.supervised import train

TENSORBOARD, WANDB, MLFLOW = (replace(QUICK, trackers=(name,)) for name in ("tensorboard", "wandb", "mlflow"))


def numbers_of(folder: Path) -> dict[str, dict[int, float]]:
    """The numbers of metrics.jsonl: name → step → number."""
    found: dict[str, dict[int, float]] = {}
    for line in metrics(folder):
        for name, value in line.items():
            if name != "step" and not isinstance(value, list):
                found.setdefault(name, {})[line["step"]] = value
    return found


def assert_same(stored: dict[str, dict[int, float]], folder: Path, rel: float = 1e-12) -> None:
    expected = numbers_of(folder)
    assert stored.keys() == expected.keys()
    for name, values in expected.items():
        assert stored[name] == pytest.approx(values, rel=rel), name
    assert max(expected["loss"]) == len(expected["loss"])


def stop_at(step: int) -> Any:
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise RuntimeError("stop")

    return stop


def stopped_and_resumed(config: Any, folder: Path, **changed: Any) -> None:
    """Checkpoint at step 5, an error after step 7, and then to the end."""
    with pytest.raises(RuntimeError, match="stop"):
        train(small_learner(), small_env(), config, folder=folder, report=stop_at(7))
    train(small_learner(), small_env(), replace(config, **changed), folder=folder, resume=True)


# -- TensorBoard -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")


def in_tensorboard(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    found = {}
    for name in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(name)]
        assert steps == sorted(set(steps)), "no step is there twice"
        found[name] = {event.step: event.value for event in events.Scalars(name)}
    return found


def test_tensorboard_has_the_metrics_also_of_a_run_that_was_resumed(tmp_path: Path, tensorboard):
    stopped_and_resumed(TENSORBOARD, tmp_path)
    assert_same(in_tensorboard(tmp_path), tmp_path, rel=1e-6)  # it stores float32


def test_tensorboard_that_came_later_has_the_whole_run(tmp_path: Path, tensorboard):
    train(small_learner(), small_env(), QUICK, folder=tmp_path)
    train(small_learner(), small_env(), replace(TENSORBOARD, steps=14), folder=tmp_path, resume=True)
    assert_same(in_tensorboard(tmp_path), tmp_path, rel=1e-6)


# -- Weights & Biases --------------------------------------------------------------------------------------------------


@pytest.fixture
def wandb_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """W&B as on a machine where nobody is logged in; its folders are not the user's."""
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb.teardown()  # a process reads the variables once
    yield home
    wandb.teardown()


@pytest.fixture
def offline(wandb_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def in_wandb(file: Path) -> tuple[str, dict[str, Any], dict[str, dict[int, float]]]:
    """The id, the config and the history in an offline run's file, as W&B's own program reads it."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    records = [json.loads(line) for line in text.splitlines()]
    (run,) = [record["run"] for record in records if record["type"] == "run"]
    config: dict[str, Any] = {}
    history: dict[str, dict[int, float]] = {}
    for record in records:
        if record["type"] == "config":
            config |= record["config"].get("update", {})
        if record["type"] == "history":
            row = record["history"]["item"]
            for name, value in row.items():
                if not name.startswith("_"):
                    history.setdefault(name, {})[row["_step"]] = value
    return run["run_id"], config, history


def offline_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)


def test_wandb_offline_has_the_metrics_and_a_resumed_run_has_the_same_id(tmp_path: Path, offline):
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stop"):
        train(small_learner(), small_env(), WANDB, folder=folder, report=stop_at(7))
    (file,) = offline_files(folder)
    first_id, config, history = in_wandb(file)
    assert_same(history, folder)
    assert config["training"]["steps"] == 12 and config["tasks"]["dataset"] == "Digits"
    time.sleep(1.1)  # the name of W&B's folder has the second
    train(small_learner(), small_env(), WANDB, folder=folder, resume=True)
    second_id, _, history = in_wandb(offline_files(folder)[-1])
    assert second_id == first_id == (folder / "wandb-run.txt").read_text().strip()
    assert_same(history, folder)
    assert len(offline_files(folder)) == 2 and len(history["loss"]) == 12


def test_wandb_without_a_login_says_so_before_the_first_step(tmp_path: Path, wandb_home: Path):
    with pytest.raises(ValueError, match="The tracker wandb cannot begin, so nothing was trained: .*wandb login"):
        train(small_learner(), small_env(), WANDB, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


# -- MLflow ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: to make its tables takes seconds."""
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    pytest.importorskip("sqlalchemy", reason="needs the extra mlflow")
    path = tmp_path_factory.mktemp("mlflow") / "new.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(new_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "mlflow.db"
    shutil.copy(new_store, path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return path


def in_mlflow(run_id: str) -> dict[str, dict[int, float]]:
    import mlflow

    client, found = mlflow.MlflowClient(), {}
    for name in client.get_run(run_id).data.metrics:
        history = client.get_metric_history(run_id, name)
        found[name] = {metric.step: metric.value for metric in history}
        assert len(found[name]) == len(history), "no step is there twice"
    return found


def mlflow_runs(project: str = "gpicl-envs") -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(project)
    return list(client.search_runs([experiment.experiment_id]))


def test_mlflow_has_the_metrics_and_a_resumed_run_is_the_same(tmp_path: Path, store: Path):
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stop"):
        train(small_learner(), small_env(), MLFLOW, folder=folder, report=stop_at(7))
    (run,) = mlflow_runs()
    assert run.info.status == "KILLED" and run.info.run_name == "run"
    assert_same(in_mlflow(run.info.run_id), folder)
    before = in_mlflow(run.info.run_id)
    train(small_learner(), small_env(), replace(MLFLOW, checkpoint_every=6), folder=folder, resume=True)
    (run,) = mlflow_runs()
    assert run.info.run_id == (folder / "mlflow-run.txt").read_text().strip() and run.info.status == "FINISHED"
    assert run.data.params["training.checkpoint_every"] == "5"
    assert run.data.tags["training.checkpoint_every"] == "6" and "training.steps" not in run.data.tags
    assert run.data.params["learner.width"] == "16" and run.data.params["tasks.dataset"] == "Digits"
    stored, expected = in_mlflow(run.info.run_id), numbers_of(folder)
    for step in (6, 7):  # trained twice: the first numbers stay
        expected["seconds"][step] = before["seconds"][step]
    assert stored == expected and len(stored["loss"]) == 12


def test_mlflow_takes_its_experiment_from_its_own_variable(tmp_path: Path, store: Path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    config = replace(MLFLOW, steps=1, evaluate_every=0)
    for name in ("a", "b"):
        train(small_learner(), small_env(), config, folder=tmp_path / name)
    assert {run.info.run_name for run in mlflow_runs("mine")} == {"a", "b"}


def test_an_mlflow_server_that_is_not_there_is_named_before_the_first_step(tmp_path: Path, store: Path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ValueError, match=r"The tracker mlflow cannot begin, so nothing was trained: .*127\.0\.0\.1"):
        train(small_learner(), small_env(), MLFLOW, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_an_mlflow_store_that_breaks_is_a_warning_and_resuming_fills_the_gap(tmp_path: Path, store: Path):
    folder, kept = tmp_path / "run", tmp_path / "kept.db"

    def break_store(progress: Progress) -> None:
        if progress.step == 5:
            shutil.copy(store, kept)
            store.write_bytes(b"no database" * 1000)

    with pytest.warns(RuntimeWarning, match="The tracker mlflow failed, and gets no more numbers") as told:
        progress = train(small_learner(), small_env(), MLFLOW, folder=folder, report=break_store)
    assert progress.step == 12 and len([w for w in told if "The tracker" in str(w.message)]) == 1
    shutil.copy(kept, store)
    (run,) = mlflow_runs()
    assert set(in_mlflow(run.info.run_id)["loss"]) == {1, 2, 3, 4, 5}
    train(small_learner(), small_env(), replace(MLFLOW, steps=13), folder=folder, resume=True)
    assert_same(in_mlflow(run.info.run_id), folder)


# -- All of them -------------------------------------------------------------------------------------------------------


def assert_has_all(stored: dict[str, dict[int, float]], expected: dict[str, dict[int, float]]) -> None:
    for name, values in expected.items():
        for step, value in values.items():
            assert math.isclose(stored[name][step], value, rel_tol=1e-6), (name, step)


@pytest.mark.slow  # two processes, each with three trackers
def test_kill_9_loses_nothing_that_the_file_has(tmp_path: Path, tensorboard, offline, store: Path):
    """A real process, killed between two evaluations; W&B, which writes every 15 seconds, has the rest once resumed."""
    folder, log = tmp_path / "run", tmp_path / "run" / "metrics.jsonl"
    command = [str(Path(sys.executable).with_name("gpicl")), "train", "tiny", "--env", "GPICL-Digits-v0"]
    command += "--evaluate-every 10 --evaluate-episodes 8 --env-kwargs length=8 n_features=64".split()
    command += ["--trackers", "tensorboard", "wandb", "mlflow", "--out", str(folder)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process, end = subprocess.Popen([*command, "--steps", "400000"], **quiet), time.monotonic() + 200
    while not (log.exists() and '"step": 30' in log.read_text()) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    expected = numbers_of(folder)
    run_id = (folder / "mlflow-run.txt").read_text().strip()
    assert len(expected["loss"]) >= 30
    assert_has_all(in_tensorboard(folder), expected)
    assert_has_all(in_mlflow(run_id), expected)
    subprocess.run([*command, "--resume", "--steps", str(len(expected["loss"]) + 10)], check=True, **quiet)
    assert_same(in_wandb(offline_files(folder)[-1])[2], folder)
    assert_same(in_tensorboard(folder), folder, rel=1e-6)
    assert len(offline_files(folder)) == 2 and len(mlflow_runs()) == 1
    assert max(in_mlflow(run_id)["loss"]) == len(numbers_of(folder)["loss"]) == len(expected["loss"]) + 10


@pytest.mark.parametrize(
    ("tracker", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("mlflow", "mlflow")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch, tracker: str, module: str):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"tracker {tracker} cannot begin.*pip install 'gpicl-envs\[{tracker}\]'"):
        train(small_learner(), small_env(), replace(QUICK, trackers=(tracker,)), folder=tmp_path)
