import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from small_records import failed_record, scored_record

from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.provenance import Provenance
from gpicl_envs.evaluation.records import (
    SCHEMA,
    Estimate,
    Reliability,
    SuiteClaim,
    distinct_names,
    read_records,
    valid_or_failed,
)
from gpicl_envs.tasks.classification import TaskDistribution

WHOLE = scored_record(
    (5, 6, 7),
    spec="knn,k=3",
    fingerprint="f" * 64,
    suite=SuiteClaim("gpicl-mini", "Digits", "d" * 64),
    task_id=[0, -1, 1],
    nll=[2.3] * 30,
    final_nll=Estimate(1.0, 0.9, 1.1),
    ece=Estimate(0.1, 0.0, 0.2),
    reliability=Reliability([None, 0.9], [None, 0.8], [0, 30]),
    examples_to={"0.5": [3, 2, None]},
)


def write(path: Path, **damage: object) -> Path:
    """A file of one record, with some of its fields replaced; None takes a field away."""
    fields = json.loads(json.dumps(asdict(WHOLE))) | damage
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not ...}) + "\n")
    return path


def test_records_survive_the_file(tmp_path: Path):
    records = [WHOLE, failed_record(WHOLE, "ValueError: no"), scored_record()]
    append_jsonl(tmp_path / "records.jsonl", records)
    assert read_records(tmp_path / "records.jsonl") == records
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[0])
    assert line["schema"] == SCHEMA and line["status"] == "ok"
    assert line["final"] == [0.6, 0.6, 0.6] and len(line["curve"]) == 3 and line["suite"]["cell"] == "Digits"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no records"),
        ('{"schema": "gpicl-record-3", "lear', "line 1 is not JSON"),
        ('{"schema": "other"}\n', "schema 'other', but this version reads 'gpicl-record-3'"),
        ('{"schema": "gpicl-record-3"}\n', "line 1: .*'status'"),
        ('{"schema": "gpicl-record-3", "status": "failed"}\n', "line 1: learner is missing; env is missing"),
        ("3\n", "schema 'int'"),
    ],
)
def test_damaged_record_files_name_the_line(tmp_path: Path, content: str, message: str):
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_records(path)


def test_a_missing_record_file_says_what_writes_one(tmp_path: Path):
    with pytest.raises(ValueError, match="gpicl evaluate --out"):
        read_records(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"final": [0.0, 0.0, 0.1]}, "line 1: final=0.0, but the mean of its final_scores is 0.6"),
        ({"final": [float("nan"), 0.0, 0.1]}, "line 1: final.0=nan: Input should be a finite number"),
        ({"ece": [0.1, 0.0, float("inf")]}, "line 1: ece.2=inf: Input should be a finite number"),
        ({"final": 0.6}, "line 1: final=0.6: Input should be an array"),
        ({"final_scores": [1, 2]}, "line 1: final_scores holds 2 episodes of 3"),
        ({"area_scores": [1, 2, 3, 4]}, "line 1: area_scores holds 4 episodes of 3"),
        ({"env_kwargs": None}, "line 1: env_kwargs=None: Input should be"),
        ({"learner": 3}, "line 1: learner=3: Input should be a valid string"),
        ({"learner": ...}, "line 1: learner is missing"),
        ({"status": "good"}, "line 1: .*'good'.*'ok', 'failed'"),
        ({"wall_seconds": "long"}, "line 1: wall_seconds='long': Input should be a valid number"),
        ({"area": [0.0, 0.0, 0.1]}, "line 1: area=0.0, but the mean of its area_scores is 0.6"),
        ({"curve": [[], [], []]}, "line 1: curve holds 0 positions, but final_positions=10"),
        ({"curve": [[0.6] * 30, [0.6] * 29, [0.6] * 30]}, "line 1: low holds 29 positions of 30"),
        ({"nll": [2.3]}, "line 1: nll holds 1 positions of 30"),
        ({"task_id": [0, 1]}, "line 1: task_id holds 2 episodes of 3"),
        ({"reliability": {"confidence": [], "accuracy": [], "count": [1]}}, "line 1: confidence holds 0 bins of 1"),
        ({"examples_to": {"0.5": [1]}}, "line 1: examples_to.0.5 holds 1 numbers of 3"),
        ({"state_size": -1}, "line 1: state_size=-1, but it is at least 0"),
        ({"protocol": "seen"}, "line 1: Unknown protocol 'seen'. Did you mean 'seen-task'"),
        ({"seed": -1}, "line 1: seed=-1, but it is at least 0"),
        ({"env_kwargs": {"length": float("nan")}}, "line 1: env_kwargs.length=nan: Input should be a finite number"),
        ({"episodes": 0}, "line 1: episodes=0, but it is at least 1"),
        ({"final_positions": 0}, "line 1: final_positions=0, but it is at least 1"),
        ({"metric": "luck"}, "line 1: metric='luck': Input should be 'accuracy' or 'squared_error'"),
        ({"provenance": {}}, "line 1: provenance.device is missing"),
        ({"suite": "gpicl-mini"}, "line 1: suite='gpicl-mini'"),
        ({"seed": 1.5}, "line 1: seed=1.5: Input should be a valid integer"),
    ],
    ids=str,
)
def test_damaged_records_are_refused_by_line_and_field(damage: dict, message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        read_records(write(tmp_path / "r.jsonl", **damage))


def test_a_record_made_before_a_field_existed_has_its_default(tmp_path: Path):
    old = write(tmp_path / "r.jsonl", spec=..., fingerprint=..., suite=..., data=..., task_id=..., ece=...)
    expected = replace(WHOLE, spec="", fingerprint=None, suite=None, data=None, task_id=None, ece=None)
    assert read_records(old) == [expected]


def test_numbers_that_contradict_each_other_make_no_record():
    with pytest.raises(ValueError, match="final=0.9, but the mean"):
        replace(WHOLE, final=Estimate(0.9, 0.9, 0.9))
    with pytest.raises(ValueError, match="area=0.9, but the mean"):
        replace(WHOLE, area=Estimate(0.9, 0.9, 0.9))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scores": (float("inf"), 1.0), "metric": "squared_error"}, "curve.0.0=inf: .*finite number"),
        ({"nll": [float("nan")] * 30}, "nll.0=nan: .*finite number"),
        ({"state_size": 10**30}, "state_size=1000.*: .*integer of 64 bits"),
        ({"n_parameters": 2.5}, "n_parameters=2.5: .*integer"),
    ],
    ids=str,
)
def test_a_result_that_a_file_cannot_keep_becomes_a_failed_record(changes: dict, reason: str, tmp_path: Path):
    made = scored_record(**changes, learner="huge", spec="a:Huge")
    with pytest.raises(ValueError, match=reason):
        append_jsonl(tmp_path / "r.jsonl", [WHOLE, made])
    assert not (tmp_path / "r.jsonl").exists()  # all or none
    append_jsonl(tmp_path / "r.jsonl", [valid_or_failed(WHOLE), valid_or_failed(made)])
    whole, failed = read_records(tmp_path / "r.jsonl")
    assert whole == WHOLE and (failed.learner, failed.spec, failed.status) == ("huge", "a:Huge", "failed")
    assert re.search(f"the result is not valid: {reason}", failed.error)


def test_numbers_of_numpy_make_a_record_like_others(tmp_path: Path):
    made = scored_record(
        state_size=np.int64(784), n_parameters=np.int32(3), seed=np.uint8(3), wall_seconds=np.float32(1)
    )
    append_jsonl(tmp_path / "r.jsonl", [made])
    assert read_records(tmp_path / "r.jsonl") == [made] == [valid_or_failed(made)]


def test_two_learners_of_one_name_get_their_specs():
    names = {"knn": "1-nn", "knn,k=3": "3-nn", "ridge": "ridge", "ridge,regularization=3": "ridge"}
    assert list(distinct_names(names).values()) == ["1-nn", "3-nn", "ridge (ridge)", "ridge (ridge,regularization=3)"]


def test_reading_takes_no_torch_and_importing_no_pydantic(tmp_path: Path):
    path = write(tmp_path / "r.jsonl")
    program = f"""
import sys, gpicl_envs, gpicl_envs.evaluation.records as records
assert not {{"torch", "pydantic"}} & sys.modules.keys()
assert len(records.read_records({str(path)!r})) == 1
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_texts_of_a_record_are_shareable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    record = replace(
        failed_record(WHOLE, ""),
        provenance=Provenance("cpu", command="gpicl evaluate --learners /home/somebody/a --password word"),
        learner="a (/home/somebody/a)",
        spec="b:C@/home/somebody/a,token=word",
        env_kwargs={"dataset": "/home/somebody/a.npz", "length": 30},
        error="hf_abcdefghijklmnop is not allowed to read /home/somebody/a",
    )
    assert (record.learner, record.spec) == ("a (~/a)", "b:C@~/a,token=***")
    assert record.error == "*** is not allowed to read ~/a"
    assert record.env_kwargs == {"dataset": "~/a.npz", "length": 30}
    assert record.provenance.command == "gpicl evaluate --learners ~/a --password ***"


def test_a_dataset_in_the_home_folder_is_read_back_from_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    images = np.random.default_rng(0).random((40, 4), np.float32)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=np.arange(40) % 2)
    tasks = TaskDistribution(str(tmp_path / "a.npz"), length=8, n_features=4)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = replace(WHOLE, env_kwargs={"dataset": str(tmp_path / "a.npz")}).env_kwargs
    assert kept == {"dataset": "~/a.npz"}
    assert TaskDistribution(**kept, length=8, n_features=4).fingerprint == tasks.fingerprint
