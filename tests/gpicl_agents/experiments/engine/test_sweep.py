from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_jobs import fails, inline
from tiny_experiment import TRAINING, tiny, trial

from gpicl_agents.experiments.engine.experiment import Experiment, find_experiment
from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.sweep import RECORDS, run_experiment, sweep
from gpicl_agents.experiments.engine.trial import SCHEMA, TrialRecord
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.evaluation.jsonl import read_jsonl
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.jobs.ray import ray_runner

ROOT = Path(__file__).parents[4]


def test_a_record_says_what_was_done_and_found(no_svhn, tmp_path: Path):
    record = sweep(tiny(), "small", tmp_path, inline, command="gpicl experiment tiny")[0]
    assert record.status == "ok" and record.axes == {"n_tasks": 1} and record.training.steps == 6
    assert record.definition == trial(1).definition and record.provenance.command == "gpicl experiment tiny"
    assert record.provenance.machine and record.provenance.versions and record.provenance.date
    assert record.n_parameters > 0 and record.state_size > 0 and record.provenance.device == "cpu"
    assert [step for step, _ in record.training.losses] == [1, 2, 3, 4, 5, 6]
    assert [stage.step for stage in record.training.history] == [3, 6]
    assert len(record.training.history[0].accuracy["unseen-task"]) == 12
    result = record.results["unseen-task"]
    assert result.episodes == 8 and len(result.accuracy.mean) == 12
    assert result.gain.mean == pytest.approx(result.final.mean - result.first.mean, abs=1e-3)
    assert all(low <= mean <= high for mean, low, high in (result.first, result.final, result.gain))
    assert "SVHN is not in the data folder" in record.missing["SVHN"]
    assert read_jsonl(tmp_path / RECORDS, TrialRecord, SCHEMA)[0] == record


def test_a_stopped_experiment_repeats_no_finished_trial(no_svhn, tmp_path: Path):
    def stops(jobs):
        for count, job in enumerate(jobs):
            if count == 2:
                raise KeyboardInterrupt
            yield job, job.run()

    with pytest.raises(KeyboardInterrupt):
        sweep(tiny(), "small", tmp_path, stops)
    with open(tmp_path / RECORDS, "a", encoding="utf-8") as file:
        file.write('{"schema": "gpicl-tri')  # killed while writing
    ran: list[str] = []

    def counts(jobs):
        ran.extend(job.title for job in jobs)
        yield from inline(jobs)

    lines: list[str] = []
    records = sweep(tiny(), "small", tmp_path, counts, report=lines.append)
    assert ran == ["n_tasks=4"] and len(records) == 3 and lines[0] == "2 of 3 trials are done already"
    whole = sweep(tiny(), "small", tmp_path / "whole", inline)
    assert [record.results for record in records] == [record.results for record in whole]


def test_a_trial_that_fails_is_reported_the_others_finish_and_it_is_tried_again(no_svhn, tmp_path: Path):
    broken = tiny("transformer", "knn", "transformer")  # nearest neighbours cannot be trained
    with local_runner(1, 120.0) as run:
        records = sweep(broken, "small", tmp_path, run)
    assert [record.status for record in records] == ["ok", "failed", "ok"]
    assert "ValueError" in records[1].error
    page = write_page(broken, "small", records, tmp_path).read_text(encoding="utf-8")
    assert "## Failed\n\n- n_tasks=2: ValueError" in page and "2 trials." in page
    ran: list[str] = []

    def counts(jobs):
        ran.extend(job.title for job in jobs)
        yield from inline(jobs)

    sweep(broken, "small", tmp_path, counts)
    assert ran == ["n_tasks=2"]


def test_another_definition_of_a_trial_does_not_resume_from_the_old_checkpoint(no_svhn, tmp_path: Path):
    def with_rate(rate: float) -> Experiment:
        changed = replace(trial(2), train_kwargs=TRAINING | {"learning_rate": rate})
        return replace(tiny(), trials=lambda scale: [changed])

    sweep(with_rate(1e-3), "small", tmp_path, inline)
    (tmp_path / RECORDS).unlink()  # as the message for records of another version advises
    again = sweep(with_rate(5e-2), "small", tmp_path, inline)
    fresh = sweep(with_rate(5e-2), "small", tmp_path / "fresh", inline)
    assert again[0].training.losses == fresh[0].training.losses and again[0].results == fresh[0].results


def test_a_dataset_that_comes_later_is_evaluated_on_then(no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = sweep(tiny(), "paper", tmp_path, inline)[0]
    assert "SVHN" in first.missing
    assert sweep(tiny(), "paper", tmp_path, inline, report=(lines := []).append) == [first]
    assert lines == ["1 of 1 trials are done already"]
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    x, y = rng.integers(256, size=(200, 32, 32, 3), dtype=np.uint8), np.arange(200) % 10
    np.savez(tmp_path / "data" / "SVHN.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path / "data"))
    later = sweep(tiny(), "paper", tmp_path, inline)[0]
    assert later.missing == {} and later.results["SVHN"].episodes == 8
    assert later.results["seen-task"] == first.results["seen-task"] and later.training.losses == first.training.losses


def test_bad_input_is_refused_before_any_computing(no_svhn, tmp_path: Path):
    def never(jobs):
        raise AssertionError("computed")

    with pytest.raises(UnknownNameError, match="Unknown experiment 'phase'.*phases"):
        find_experiment("phase")
    with pytest.raises(UnknownNameError, match="Unknown scale 'huge'.*paper, small"):
        sweep(tiny(), "huge", tmp_path, never)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        sweep(tiny(), "small", tmp_path / "file", never)
    sweep(tiny(), "paper", tmp_path / "other", inline)
    with pytest.raises(ValueError, match="is of the experiment tiny at scale paper, not of tiny at scale small"):
        sweep(tiny(), "small", tmp_path / "other", never)
    with pytest.raises(ValueError, match=r"line 1 \(n_tasks=1\) was made with another version's definition of tiny"):
        sweep(tiny("memoryless-mlp"), "paper", tmp_path / "other", never)
    path = tmp_path / "other" / RECORDS
    path.write_text(path.read_text().replace("gpicl-trial-2", "gpicl-trial-0"))
    with pytest.raises(ValueError, match="has the schema 'gpicl-trial-0'"):
        sweep(tiny(), "paper", tmp_path / "other", never)


@pytest.mark.slow
def test_a_sweep_on_a_ray_cluster_finds_what_one_in_this_process_finds(no_svhn, tmp_path: Path):
    ray = pytest.importorskip("ray", reason="needs the extra `cluster`")
    here = sweep(tiny(), "small", tmp_path / "here", inline)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with ray_runner("auto", 300.0) as run:
            there = sweep(tiny(), "small", tmp_path / "there", run)
    finally:
        ray.shutdown()
    assert [record.status for record in there] == ["ok"] * 3
    assert [record.results for record in there] == [record.results for record in here]


def test_a_failure_does_not_lose_an_earlier_result(no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = sweep(tiny(), "small", tmp_path, inline)
    monkeypatch.setattr("gpicl_agents.experiments.engine.sweep._is_complete", lambda job, record: False)

    for _ in range(2):
        assert sweep(tiny(), "small", tmp_path, fails) == before


def test_an_experiment_of_which_all_trials_failed_is_an_error_with_a_report(no_svhn, tmp_path: Path):
    with pytest.raises(ValueError, match="All trials failed: no memory"):
        run_experiment(tiny(), "paper", tmp_path, fails, device="cpu", threads=1, command="")
    assert "- n_tasks=1: no memory" in (tmp_path / "report.md").read_text(encoding="utf-8")
    page = run_experiment(tiny(), "paper", tmp_path, inline, device="cpu", threads=1, command="gpicl experiment tiny")
    assert "1 trials." in page.read_text(encoding="utf-8")


def test_a_failure_is_recorded_on_a_machine_without_the_clusters_gpu(no_svhn, tmp_path: Path):
    failed = sweep(tiny(), "small", tmp_path, fails, device="cuda")
    assert {record.status for record in failed} == {"failed"} and failed[0].provenance.machine
