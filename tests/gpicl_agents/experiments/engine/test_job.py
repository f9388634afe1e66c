from dataclasses import replace
from pathlib import Path

import pytest
from tiny_experiment import TRAINING, trial

from gpicl_agents.experiments.engine.job import TrialJob


def test_a_trial_that_was_killed_in_training_resumes_from_its_checkpoint(no_svhn, tmp_path: Path):
    job = TrialJob(trial(2), "tiny", "small", tmp_path / "a")
    whole = job.run().value
    kept = sorted((tmp_path / "a" / "checkpoints").iterdir())
    assert len(kept) >= 2
    for path in sorted(kept[-1].iterdir()):  # the last one was never written
        path.unlink()
    kept[-1].rmdir()
    again = job.run().value
    assert again.results == whole.results and again.training.losses == whole.training.losses


def test_a_record_names_the_commits_that_trained_and_not_the_one_that_evaluated_again(
    no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def at(commit: str, steps: int) -> str:
        monkeypatch.setattr("gpicl_agents.experiments.engine.job.source_commit", lambda: commit)
        short = replace(trial(4), train_kwargs=TRAINING | {"steps": steps, "schedule": "constant"})
        return TrialJob(short, "tiny", "small", tmp_path / "t").run().value.provenance.commit

    assert at("aaa", 2) == "aaa"
    assert at("bbb", 4) == "aaa, then bbb"  # it resumed
    assert at("ccc", 4) == "aaa, then bbb"  # it was done already
    assert at("ccc", 6) == "aaa, then bbb, then ccc"


def test_datasets_that_are_missing_during_training_are_left_out_by_name(no_svhn, tmp_path: Path):
    during = TRAINING | {"evaluate_datasets": ("SVHN", "Digits")}
    changed = replace(trial(2), train_kwargs=during, evaluations=())
    record = TrialJob(changed, "tiny", "small", tmp_path).run().value
    assert "SVHN is not in the data folder" in record.missing["SVHN"]
    accuracy = record.training.history[0].accuracy
    assert {"Digits", "unseen-task"} <= accuracy.keys() and "SVHN" not in accuracy
