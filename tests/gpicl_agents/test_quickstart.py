import signal
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import gpicl_agents.quickstart as module
from gpicl_agents.quickstart import QuickstartConfig, quickstart
from gpicl_agents.training.checkpoint import find_checkpoint, load_learner, read_config
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.evaluation.records import read_records

TINY = QuickstartConfig(scale=0.002, episodes=4)


@pytest.fixture(scope="module", autouse=True)
def presets() -> Iterator[None]:
    """Both agents, with fewer episodes for the curves during the training."""
    few = {
        name: replace(preset, config=replace(preset.config, evaluate_episodes=4)) for name, preset in PRESETS.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PRESETS", few)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quickstart."""
    folder = tmp_path_factory.mktemp("finished")
    quickstart(folder, TINY, Console(quiet=True))
    return folder


def stop_after_training(*arguments: object) -> None:
    raise RuntimeError("trained to the end")


def test_the_whole_thread_at_its_smallest(finished: Path):
    page = finished / "report" / "index.html"
    records = read_records(finished / "records.jsonl")
    assert len(records) == 4 * 8 and {record.episodes for record in records} == {4, 2}
    assert {record.learner for record in records} >= {"transformer", "transformer+similarity", "1-nn-cosine"}
    assert {(record.env, record.protocol) for record in records} >= {
        ("GPICL-MNIST-v0", "unseen-task"),
        ("GPICL-Digits-v0", "unseen-dataset"),
    }
    assert "transformer+similarity" in page.read_text()
    assert (finished / "report" / "emergence.png").stat().st_size > 10_000
    assert load_learner(finished / "fast").name == "transformer"


def test_an_agent_that_is_still_on_the_plateau_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = module.train

    def train_slowly(*arguments, **settings):
        progress = original(*arguments, **settings)
        progress.on_plateau = True
        return progress

    monkeypatch.setattr(module, "train", train_slowly)
    monkeypatch.setattr(module, "_compare", stop_after_training)
    console = Console(file=StringIO(), width=200)
    with pytest.raises(RuntimeError, match="trained to the end"):
        quickstart(tmp_path, TINY, console)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(f"{name} is still on the loss plateau" in output for name in ("transformer", "transformer+similarity"))


def test_folders_of_somebody_else_are_left_alone(tmp_path: Path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="report were not made by a quickstart: give another folder"):
        quickstart(tmp_path, TINY, Console(quiet=True))
    assert (tmp_path / "report" / "thesis.txt").read_text() == "years of work"


def test_one_with_other_settings_is_left_alone(finished: Path):
    before = (finished / "fast" / "metrics.jsonl").read_text()
    with pytest.raises(ValueError, match=r"a quickstart with other settings \(.*4, .*now .*5, .*give another folder"):
        quickstart(finished, replace(TINY, episodes=5), Console(quiet=True))
    assert (finished / "fast" / "metrics.jsonl").read_text() == before


def test_a_signal_during_the_first_training_stops_the_whole_and_it_is_resumed(tmp_path: Path, monkeypatch):
    """Not only the training: an unfinished model must not be reported as finished."""
    show = module.LiveReport.__call__

    def interrupt(self, progress) -> None:
        show(self, progress)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module.LiveReport, "__call__", interrupt)
        with pytest.raises(KeyboardInterrupt):
            quickstart(tmp_path, replace(TINY, scale=0.02), Console(quiet=True))
    assert not (tmp_path / "fast").exists() and not (tmp_path / "records.jsonl").exists()

    monkeypatch.setattr(module, "_compare", stop_after_training)
    with pytest.raises(RuntimeError, match="trained to the end"):
        quickstart(tmp_path, replace(TINY, scale=0.02), Console(quiet=True))
    assert read_config(find_checkpoint(tmp_path / "similarity"))["step"] == 8


def test_a_run_that_was_killed_while_it_wrote_records_is_completed_and_a_finished_one_stays(
    finished: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "write_report", lambda *arguments, **settings: finished / "report" / "index.html")
    monkeypatch.setattr(module, "draw_emergence", lambda *arguments: None)
    path, metrics = finished / "records.jsonl", (finished / "fast" / "metrics.jsonl").read_text()
    whole = read_records(path)
    for kept, torn in ((27, b'{"schema": "gpicl-rec'), (32, b"")):  # of 32; the last eight are of Random
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:kept]) + torn)
        quickstart(finished, TINY, Console(quiet=True))
        again = read_records(path)
        assert [(record.env, record.learner) for record in again] == [(record.env, record.learner) for record in whole]
        assert [record.final_scores for record in again] == [record.final_scores for record in whole]
        assert (finished / "fast" / "metrics.jsonl").read_text() == metrics
