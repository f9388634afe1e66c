import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gpicl_agents.evaluations import Summary, seen_tasks
from gpicl_agents.experiments.engine.trial import SAME_CLASS, SCHEMA, Inspection, Stage, Training, Trial, TrialRecord
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import Band, Estimate

TRIAL = Trial({"n_tasks": 4, "seed": 0}, "transformer", {"width": 16}, {"n_tasks": 4}, {"steps": 2}, 8, (seen_tasks(),))
SUMMARY = Summary(8, *[Estimate(0.5, 0.4, 0.6)] * 3, accuracy=Band([0.5], [0.4], [0.6]))
HEADS = {SAME_CLASS: [[Estimate(0.5, 0.4, 0.6)] * 2]}
RECORD = TrialRecord(
    experiment="tiny",
    scale="small",
    trial=TRIAL.name,
    axes=TRIAL.axes,
    definition=TRIAL.definition,
    provenance=Provenance("cpu", "a machine", "gpicl experiment tiny", "2026-11-26T00:00:00+00:00", {"torch": "2"}),
    learner="transformer",
    training=Training(2, 0.5, None, [(1, 2.3), (2, 2.2)], [Stage(2, {"unseen-task": [0.1, 0.2]}, HEADS)]),
    results={"seen-task": SUMMARY},
    missing={"SVHN": "SVHN is not in the data folder."},
    inspections=[Inspection("MNIST", [[[0, 255]]], [3], [[[[1.0]]]])],
)


def test_a_trial_is_named_by_its_axes_and_identified_by_all_of_it():
    assert TRIAL.name == "n_tasks=4, seed=0"
    changed = [
        replace(TRIAL, learner_kwargs={"width": 17}),
        replace(TRIAL, env_kwargs={}),
        replace(TRIAL, batch_size=9),
        replace(TRIAL, evaluations=(seen_tasks(9),)),
        replace(TRIAL, during=(seen_tasks(9),)),
        replace(TRIAL, inspected=seen_tasks(9)),
        replace(TRIAL, shown=(seen_tasks(9),)),
    ]
    assert len({trial.definition for trial in (TRIAL, *changed)}) == 8


def test_what_trials_had_not_from_the_beginning_changes_no_definition_at_its_default():
    """The definition of `TRIAL` before there were references and masks, in records that exist."""
    assert TRIAL.definition == "9799735d8f3f42816e088f824aea03882155276af493696dacb09b0663cd8446"
    masked = replace(seen_tasks(), only_seen=True)
    changed = [replace(TRIAL, references={"dmmse": "dmmse"}), replace(TRIAL, evaluations=(masked,))]
    assert len({trial.definition for trial in (TRIAL, *changed)}) == 3


def test_a_record_reads_as_it_was_written(tmp_path: Path):
    append_jsonl(tmp_path / "records.jsonl", [RECORD])
    append_jsonl(tmp_path / "records.jsonl", [replace(RECORD, status="failed", error="no memory", results={})])
    first, second = read_jsonl(tmp_path / "records.jsonl", TrialRecord, SCHEMA)
    assert first == RECORD and second.error == "no memory"
    assert first.results["seen-task"].gain.low == 0.4 and first.training.losses[1] == (2, 2.2)


def test_a_field_that_is_missing_reads_as_its_default(tmp_path: Path):
    line = {name: value for name, value in asdict(RECORD).items() if name not in ("training", "missing", "error")}
    (tmp_path / "records.jsonl").write_text(json.dumps(line) + "\n")
    (record,) = read_jsonl(tmp_path / "records.jsonl", TrialRecord, SCHEMA)
    assert record == replace(RECORD, training=Training(), missing={})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"results": {"seen-task": {"episodes": 8}}}, r"results.seen-task.first is missing"),
        ({"n_parameters": "many"}, r"n_parameters='many': Input should be a valid integer"),
        ({"status": "perhaps"}, r"status='perhaps': Input should be 'ok' or 'failed'"),
        ({"schema": "gpicl-trial-1"}, r"has the schema 'gpicl-trial-1'"),
    ],
)
def test_a_line_that_is_not_a_record_is_refused_by_name(change: dict, message: str, tmp_path: Path):
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(asdict(RECORD)) + "\n" + json.dumps(asdict(RECORD) | change) + "\n")
    with pytest.raises(ValueError, match=f"line 2.*{message}"):
        read_jsonl(path, TrialRecord, SCHEMA)


def test_texts_of_a_record_are_shareable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    record = replace(RECORD, error="/home/somebody/a: token=word", missing={"SVHN": "no file /home/somebody/svhn.npz"})
    assert record.error == "~/a: token=***" and record.missing == {"SVHN": "no file ~/svhn.npz"}
