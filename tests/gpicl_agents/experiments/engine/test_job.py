from dataclasses import replace
from pathlib import Path

import pytest
from tiny_experiment import TRAINING, trial

from gpicl_agents.experiments.engine.job import TrialJob
from gpicl_agents.experiments.engine.trial import Training


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


def test_a_learner_that_is_not_trained_is_only_evaluated(no_svhn, tmp_path: Path):
    untrained = replace(trial(2, "knn"), train_kwargs=None)
    record = TrialJob(untrained, "tiny", "small", tmp_path / "t", command="gpicl experiment tiny").run().value
    assert record.training == Training() and not (tmp_path / "t").exists()
    assert (record.learner, record.n_parameters, record.state_size) == ("1-nn-cosine", 0, 11 * 17)
    assert record.results.keys() == {"seen-task", "unseen-task"} and record.missing.keys() == {"SVHN"}


def test_a_job_matches_its_own_trial_and_its_failure_names_the_reason(tmp_path: Path):
    job, other = (TrialJob(trial(n), "tiny", "small", tmp_path) for n in (2, 4))
    failed = job.failed("no memory")
    assert (failed.status, failed.error, failed.trial, failed.axes) == (
        "failed",
        "no memory",
        "n_tasks=2",
        {"n_tasks": 2},
    )
    assert job.matches(failed) and not other.matches(failed)


def test_what_a_learner_raises_is_the_reason_of_a_failure(tmp_path: Path):
    outcome = TrialJob(trial(2, "transformers"), "tiny", "small", tmp_path).run()
    assert outcome.value is None and outcome.error.startswith("UnknownNameError: Unknown learner 'transformers'")
