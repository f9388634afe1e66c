import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from small_records import failed_record, scored_record

from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.records import (
    SCHEMA,
    Band,
    Estimate,
    Reliability,
    SuiteClaim,
    distinct_names,
    read_records,
)

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
    with pytest.raises(ValueError, match="final=inf, but the mean"):
        scored_record((float("inf"), 1.0), metric="squared_error")
    assert replace(WHOLE, curve=Band([], [], [])).larger_is_better


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
