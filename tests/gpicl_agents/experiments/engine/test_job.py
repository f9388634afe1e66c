from dataclasses import replace
from pathlib import Path

import pytest
from tiny_experiment import SMALL, TRAINING, trial

from gpicl_agents.evaluations import Evaluation, seen_tasks, unseen_tasks
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


def test_functions_are_trained_on_and_distances_to_the_references_are_kept(tmp_path: Path):
    functions = {"function": "LinearRegression", "n_features": 3, "length": 6, "noise": 0.5, "n_tasks": 4}
    changed = replace(
        trial(2),
        learner_kwargs=SMALL | {"input_rank": 3},
        env_kwargs=functions,
        evaluations=(seen_tasks(8), unseen_tasks(8)),
        references={"dmmse": "dmmse,n_tasks=4,noise=0.5"},
    )
    trained = TrialJob(changed, "tiny", "small", tmp_path / "a").run().value
    exact = replace(changed, learner="dmmse", learner_kwargs={"n_tasks": 4, "noise": 0.5}, train_kwargs=None)
    optimal = TrialJob(exact, "tiny", "small", tmp_path / "b").run().value
    for record in (trained, optimal):
        assert record.results.keys() == {"seen-task", "unseen-task"}
        for summary in record.results.values():
            assert summary.distances.keys() == {"least-squares", "optimal-ridge", "dmmse"}
    distances = [record.results["seen-task"].distances["dmmse"].mean for record in (trained, optimal)]
    assert distances[0] > 0.1 > distances[1] == pytest.approx(0, abs=1e-6)
    assert len(trained.training.losses) == 6


def test_a_mask_is_of_the_evaluation_that_asks_for_it(tmp_path: Path):
    few = {"split": "test", "n_tasks": None, "active_classes": 2}
    plain, masked = (Evaluation(str(only), "unseen-task", few, 8, only_seen=only) for only in (False, True))
    untrained = replace(trial(2, "uniform"), train_kwargs=None, evaluations=(plain, masked))
    results = TrialJob(untrained, "tiny", "small", tmp_path).run().value.results
    assert results["True"].final.mean > results["False"].final.mean + 0.2


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
