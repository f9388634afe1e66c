import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from gpicl_agents.experiments.engine.experiment import NAMES, Experiment, find_experiment
from gpicl_agents.experiments.engine.plots import draw_series
from gpicl_agents.experiments.engine.report import write_page
from gpicl_agents.experiments.engine.sweep import RECORDS, sweep
from gpicl_agents.experiments.engine.trial import Question, Trial, TrialJob
from gpicl_envs.cli import main
from gpicl_envs.errors import UnknownNameError
from gpicl_envs.jobs.job import Outcome
from gpicl_envs.jobs.local import local_runner
from gpicl_envs.jobs.ray import ray_runner
from gpicl_envs.report.figures import PALETTE, panels, save

TASKS = {"dataset": "Digits", "n_features": 16, "length": 12}
TRAINING = {"steps": 6, "warmup_steps": 1, "evaluate_every": 3, "evaluate_episodes": 4, "checkpoint_every": 2}
SMALL = {"width": 16, "n_layers": 1, "n_heads": 1, "input_rank": 8}
ROOT = Path(__file__).parents[4]
NEW = {"split": "test", "n_tasks": None}


def trial(n_tasks: int, learner: str = "transformer") -> Trial:
    questions = (Question("seen-task", "seen-task", {}, 8), Question("unseen-task", "unseen-task", NEW, 8))
    missing = Question("SVHN", "unseen-dataset", NEW | {"dataset": "SVHN"}, 8)
    arguments = SMALL if learner == "transformer" else {}
    tasks = TASKS | {"n_tasks": n_tasks}
    return Trial({"n_tasks": n_tasks}, learner, arguments, tasks, TRAINING, 4, (*questions, missing))


def draw(records, folder: Path) -> list[str]:
    figure, (axes,) = panels(1)
    draw_series(axes, records, "n_tasks", "seen-task", "gain", "seen-task", PALETTE[0])
    save(figure, [folder / "tiny.png", folder / "tiny.svg"])
    return ["tiny.png", "tiny.svg"]


def tiny(*learners: str) -> Experiment:
    trials = [trial(2**i, learner) for i, learner in enumerate(learners or ("transformer",) * 3)]
    scales = {"small": lambda: trials, "paper": lambda: trials[:1]}
    return Experiment(
        "tiny", "Tiny", "For tests.", scales, draw, lambda rows: [f"{len(rows)} trials."], lambda row: "done"
    )


def inline(jobs):
    for job in jobs:
        yield job, job.run()


@pytest.fixture
def no_svhn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path / "nothing"))


def test_a_record_says_what_was_done_and_found(no_svhn, tmp_path: Path):
    record = sweep(tiny(), "small", tmp_path, inline, command="gpicl experiment tiny")[0]
    assert record["status"] == "ok" and record["axes"] == {"n_tasks": 1} and record["steps"] == 6
    assert record["definition"] == trial(1).definition and record["command"] == "gpicl experiment tiny"
    assert {"machine", "versions", "commit", "date", "n_parameters", "state_size"} <= record.keys()
    assert [step for step, _ in record["losses"]] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in record["history"]] == [3, 6] and len(record["history"][0]["unseen-task"]) == 12
    answer = record["answers"]["unseen-task"]
    assert answer["episodes"] == 8 and len(answer["accuracy"][0]) == 12
    assert answer["gain"][0] == pytest.approx(answer["final"][0] - answer["first"][0], abs=1e-3)
    assert all(low <= mean <= high for mean, low, high in (answer[key] for key in ("first", "final", "gain")))
    assert "SVHN is not in the data folder" in record["missing"]["SVHN"]
    assert json.loads((tmp_path / RECORDS).read_text().splitlines()[0]) == record


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

    said: list[str] = []
    records = sweep(tiny(), "small", tmp_path, counts, report=said.append)
    assert ran == ["n_tasks=4"] and len(records) == 3 and said[0] == "2 of 3 trials are done already"
    whole = sweep(tiny(), "small", tmp_path / "whole", inline)
    assert [record["answers"] for record in records] == [record["answers"] for record in whole]


def test_a_trial_that_was_killed_in_training_goes_on_from_its_checkpoint(no_svhn, tmp_path: Path):
    job = TrialJob(trial(2), "tiny", "small", tmp_path / "a")
    whole = job.run().value
    kept = sorted((tmp_path / "a" / "checkpoints").iterdir())
    assert len(kept) >= 2
    for path in sorted(kept[-1].iterdir()):  # the last one was never written
        path.unlink()
    kept[-1].rmdir()
    again = job.run().value
    assert again["answers"] == whole["answers"] and again["losses"] == whole["losses"]


def test_a_record_names_the_commits_that_trained_and_not_the_one_that_asked_again(
    no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def at(commit: str, steps: int) -> str:
        monkeypatch.setattr("gpicl_agents.experiments.engine.trial.source_commit", lambda: commit)
        short = replace(trial(4), training=TRAINING | {"steps": steps, "schedule": "constant"})
        return TrialJob(short, "tiny", "small", tmp_path / "t").run().value["commit"]

    assert at("aaa", 2) == "aaa"
    assert at("bbb", 4) == "aaa, then bbb"  # it went on
    assert at("ccc", 4) == "aaa, then bbb"  # it was done already
    assert at("ccc", 6) == "aaa, then bbb, then ccc"


def test_a_trial_that_fails_is_reported_the_others_finish_and_it_is_tried_again(no_svhn, tmp_path: Path):
    broken = tiny("transformer", "knn", "transformer")  # nearest neighbours cannot be trained
    with local_runner(1, 120.0) as run:
        records = sweep(broken, "small", tmp_path, run)
    assert [record["status"] for record in records] == ["ok", "failed", "ok"]
    assert "ValueError" in records[1]["error"]
    page = write_page(broken, "small", records, tmp_path).read_text(encoding="utf-8")
    assert "## Failed\n\n- n_tasks=2: ValueError" in page and "2 trials." in page
    ran: list[str] = []

    def counts(jobs):
        ran.extend(job.title for job in jobs)
        yield from inline(jobs)

    sweep(broken, "small", tmp_path, counts)
    assert ran == ["n_tasks=2"]


def test_another_definition_of_a_trial_does_not_go_on_from_the_old_checkpoint(no_svhn, tmp_path: Path):
    def with_rate(rate: float) -> Experiment:
        changed = replace(trial(2), training=TRAINING | {"learning_rate": rate})
        return replace(tiny(), scales={"small": lambda: [changed]})

    sweep(with_rate(1e-3), "small", tmp_path, inline)
    (tmp_path / RECORDS).unlink()  # as the message for records of another version advises
    again = sweep(with_rate(5e-2), "small", tmp_path, inline)
    fresh = sweep(with_rate(5e-2), "small", tmp_path / "fresh", inline)
    assert again[0]["losses"] == fresh[0]["losses"] and again[0]["answers"] == fresh[0]["answers"]


def test_a_dataset_that_comes_later_is_asked_then(no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = sweep(tiny(), "paper", tmp_path, inline)[0]
    assert "SVHN" in first["missing"]
    assert sweep(tiny(), "paper", tmp_path, inline, report=(said := []).append) == [first]
    assert said == ["1 of 1 trials are done already"]
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    x, y = rng.integers(256, size=(200, 32, 32, 3), dtype=np.uint8), np.arange(200) % 10
    np.savez(tmp_path / "data" / "SVHN.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path / "data"))
    later = sweep(tiny(), "paper", tmp_path, inline)[0]
    assert later["missing"] == {} and later["answers"]["SVHN"]["episodes"] == 8
    assert later["answers"]["seen-task"] == first["answers"]["seen-task"] and later["losses"] == first["losses"]


def test_the_same_records_give_the_same_bytes(no_svhn, tmp_path: Path):
    records = sweep(tiny(), "small", tmp_path, inline)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_page(tiny(), "small", records, tmp_path / folder)
    for name in ("report.md", "tiny.png", "tiny.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_declares_distinct_trials_at_both_scales(name: str):
    experiment = find_experiment(name)
    assert experiment.name == name
    for scale in ("small", "paper"):
        trials = experiment.trials(scale)
        assert len({trial.name for trial in trials}) == len({trial.definition for trial in trials}) == len(trials) > 1
        assert all(json.loads(json.dumps(asdict(trial))) for trial in trials)
        assert all(trial.questions or (trial.training or {}).get("until_gain") for trial in trials)


def test_bad_input_is_refused_before_any_computing(no_svhn, tmp_path: Path):
    def never(jobs):
        raise AssertionError("computed")

    with pytest.raises(UnknownNameError, match="Unknown experiment 'phase'.*phases"):
        find_experiment("phase")
    with pytest.raises(UnknownNameError, match="Unknown scale of tiny 'huge'"):
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
    path.write_text(path.read_text().replace("gpicl-trial-1", "gpicl-trial-0"))
    with pytest.raises(ValueError, match="has the schema 'gpicl-trial-0'"):
        sweep(tiny(), "paper", tmp_path / "other", never)


def test_the_command_says_bad_input_in_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["experiment", "nothing"])
    error = capsys.readouterr().err
    assert "Unknown experiment 'nothing'" in error and error.count("\n") == 1


def test_datasets_watched_in_training_that_are_not_at_hand_are_left_out_by_name(no_svhn, tmp_path: Path):
    watched = TRAINING | {"evaluate_datasets": ("SVHN", "Digits")}
    watching = replace(trial(2), training=watched, questions=())
    record = TrialJob(watching, "tiny", "small", tmp_path).run().value
    assert "SVHN is not in the data folder" in record["missing"]["SVHN"]
    assert {"Digits", "unseen-task"} <= record["history"][0].keys() and "SVHN" not in record["history"][0]


def test_a_sweep_on_a_ray_cluster_finds_what_one_in_this_process_finds(no_svhn, tmp_path: Path):
    ray = pytest.importorskip("ray", reason="needs the extra `cluster`")
    here = sweep(tiny(), "small", tmp_path / "here", inline)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with ray_runner("auto", 300.0) as run:
            there = sweep(tiny(), "small", tmp_path / "there", run)
    finally:
        ray.shutdown()
    assert [record["status"] for record in there] == ["ok"] * 3
    assert [record["answers"] for record in there] == [record["answers"] for record in here]


def test_a_failure_does_not_lose_an_earlier_answer(no_svhn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = sweep(tiny(), "small", tmp_path, inline)
    monkeypatch.setattr("gpicl_agents.experiments.engine.sweep._is_done", lambda trial, records: False)

    def fails(jobs):
        for job in jobs:
            yield job, Outcome(error="no memory")

    for _ in range(2):
        assert sweep(tiny(), "small", tmp_path, fails) == before


def test_a_failure_is_recorded_on_a_machine_without_the_clusters_gpu(no_svhn, tmp_path: Path):
    def fails(jobs):
        for job in jobs:
            yield job, Outcome(error="no memory")

    failed = sweep(tiny(), "small", tmp_path, fails, device="cuda")
    assert {record["status"] for record in failed} == {"failed"} and failed[0]["machine"]
