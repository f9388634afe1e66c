from dataclasses import replace
from pathlib import Path

import pytest
from small_players import return_records
from small_records import failed_record

from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.records import Band, Estimate, read_records
from gpicl_envs.evaluation.return_records import ReturnRecord, read_return_records


@pytest.fixture(scope="module")
def records() -> list[ReturnRecord]:
    return return_records()


def test_records_survive_a_round_trip_and_so_do_failures(records: list[ReturnRecord], tmp_path: Path):
    failed = failed_record(records[0], "no memory")
    append_jsonl(tmp_path / "r.jsonl", [*records, failed])
    assert read_return_records(tmp_path / "r.jsonl") == [*records, failed]
    knows, greedy, uniform = records
    assert knows.knows_the_task and not uniform.knows_the_task
    assert knows.goodness > greedy.goodness > uniform.goodness > failed.goodness


def test_a_file_of_the_other_kind_is_refused_by_its_schema(records: list[ReturnRecord], tmp_path: Path):
    append_jsonl(tmp_path / "r.jsonl", records)
    with pytest.raises(ValueError, match="line 1 has the schema 'gpicl-returns-1'"):
        read_records(tmp_path / "r.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ValueError, match="holds no records"):
        read_return_records(tmp_path / "empty.jsonl")
    with pytest.raises(ValueError, match="There is no record file"):
        read_return_records(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"returns": [1.0]}, "returns holds 1 problems of 60"),
        ({"task_id": [0]}, "task_id holds 1 problems of 60"),
        ({"total_return": Estimate(99.0, 98.0, 100.0)}, "total_return=99.0, but the mean of its problems is"),
        ({"total_regret": Estimate(99.0, 98.0, 100.0)}, "total_regret=99.0"),
        ({"episode_return": Band([0.5] * 7, [0.4] * 7, [0.6] * 7)}, "20 steps, but episode_return 7 episodes"),
        ({"episode_regret": Band([0.5] * 20, [0.4] * 20, [0.6] * 19)}, "high holds 19 episodes of 20"),
        ({"wall_seconds": -1.0}, "wall_seconds=-1.0"),
        ({"episodes": 0}, "episodes=0"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(records, changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        replace(records[1], **changes)
