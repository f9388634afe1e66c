from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import gpicl_agents.quickstart as module
from gpicl_agents.quickstart import QuickstartConfig, quickstart
from gpicl_agents.training.checkpoint import load_learner
from gpicl_envs.evaluation.records import read_records

TINY = QuickstartConfig(scale=0.002, episodes=4)


def test_the_whole_thread_at_its_smallest(tmp_path: Path):
    page = quickstart(tmp_path, TINY, Console(quiet=True))
    records = read_records(tmp_path / "records.jsonl")
    assert len(records) == 4 * 8 and {record.episodes for record in records} == {4, 2}
    assert {record.learner for record in records} >= {"transformer", "transformer+similarity", "1-nn-cosine"}
    assert {(record.env, record.protocol) for record in records} >= {
        ("GPICL-MNIST-v0", "unseen-task"),
        ("GPICL-Digits-v0", "unseen-dataset"),
    }
    assert page == tmp_path / "report" / "index.html" and "transformer+similarity" in page.read_text()
    assert (tmp_path / "report" / "emergence.png").stat().st_size > 10_000
    assert load_learner(tmp_path / "fast").name == "transformer"


def test_an_agent_that_is_still_on_the_plateau_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = module.train

    def train_slowly(*arguments, **settings):
        progress = original(*arguments, **settings)
        progress.on_plateau = True
        return progress

    monkeypatch.setattr(module, "train", train_slowly)
    console = Console(file=StringIO(), width=200)
    quickstart(tmp_path, TINY, console)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(f"{name} is still on the loss plateau" in output for name in ("transformer", "transformer+similarity"))


def test_folders_of_somebody_else_are_left_alone(tmp_path: Path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="report were not made by a quickstart: give another folder"):
        quickstart(tmp_path, TINY, Console(quiet=True))
    assert (tmp_path / "report" / "thesis.txt").read_text() == "years of work"


def test_an_interrupted_run_is_resumed_and_a_finished_one_starts_from_scratch(tmp_path: Path, monkeypatch):
    trained = []

    def stop(*arguments):
        raise KeyboardInterrupt

    original_compare, original_train = module._compare, module.train
    monkeypatch.setattr(module, "train", lambda *a, **k: trained.append(1) or original_train(*a, **k))
    monkeypatch.setattr(module, "_compare", stop)
    try:
        quickstart(tmp_path, TINY, Console(quiet=True))
    except KeyboardInterrupt:
        pass
    kept = (tmp_path / "fast" / "metrics.jsonl").stat().st_mtime_ns
    monkeypatch.setattr(module, "_compare", original_compare)
    quickstart(tmp_path, TINY, Console(quiet=True))
    assert (tmp_path / "fast" / "metrics.jsonl").read_text().count('"loss"') == 2
    quickstart(tmp_path, TINY, Console(quiet=True))
    assert (tmp_path / "fast" / "metrics.jsonl").stat().st_mtime_ns > kept
    assert len(read_records(tmp_path / "records.jsonl")) == 4 * 8
