from dataclasses import replace
from pathlib import Path

from small_jobs import inline
from tiny_experiment import tiny
from trial_records import record, result

from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.sweep import sweep
from gpicl_agents.experiments.engine.trial import Training
from gpicl_envs.evaluation.provenance import Provenance


def test_the_same_records_give_the_same_bytes(no_svhn, tmp_path: Path):
    records = sweep(tiny(), "small", tmp_path, inline)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_page(tiny(), "small", records, tmp_path / folder)
    for name in ("report.md", "tiny.png", "tiny.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_page_has_findings_failures_what_is_missing_every_trial_and_its_origin(tmp_path: Path):
    made = Provenance("cpu", "a machine", "gpicl experiment tiny", "2026-11-26", {"torch": "2.8"}, "abc")
    summary = {"seen-task": result(0.1, 0.4)}
    trained = record({"n_tasks": 1}, summary, trial="n_tasks=1", learner="gru", n_parameters=1234, state_size=56)
    trained = replace(
        trained, training=Training(steps=2000, seconds=1800.0), provenance=made, missing={"SVHN": "No file."}
    )
    alone = replace(trained, axes={"n_tasks": 2}, trial="n_tasks=2", training=Training(), missing={})
    failed = replace(trained, axes={"n_tasks": 4}, trial="n_tasks=4", status="failed", error="no memory")
    text = write_page(tiny(), "paper", [trained, alone, failed], tmp_path).read_text(encoding="utf-8")
    parts = text.split("\n\n")
    assert parts[:4] == ["# Tiny (paper scale)", "For tests.", "![Tiny](tiny.png)", "- 2 trials."]
    assert "## Failed\n\n- n_tasks=4: no memory" in text
    assert "## Left out\n\n- SVHN, in 1 of 2 trials: No file." in text
    assert (
        "| n_tasks=1 | gru | 1,234 | 56 | 2,000 | 1800 | done |\n| n_tasks=2 | gru | 1,234 | 56 | – | – | done |"
        in text
    )
    assert "| n_tasks=4 |" not in text
    assert text.endswith("Total training time: 0.50 h.\n\na machine; gpicl experiment tiny; commit abc; torch 2.8\n")


def test_a_page_of_failures_alone_has_no_figures(tmp_path: Path):
    failed = replace(record({"n_tasks": 4}, {}), status="failed", error="no memory")
    text = write_page(tiny(), "small", [failed], tmp_path).read_text(encoding="utf-8")
    assert "- some trial: no memory" in text and "![" not in text and not list(tmp_path.glob("*.png"))
