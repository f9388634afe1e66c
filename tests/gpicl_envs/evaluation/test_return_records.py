import random
from dataclasses import replace
from pathlib import Path

import pytest
from mutations import damaged_bytes, damaged_value
from small_players import return_records
from small_records import failed_record

from gpicl_envs.evaluation.jsonl import append_jsonl
from gpicl_envs.evaluation.records import Band, Estimate, read_records
from gpicl_envs.evaluation.return_records import ReturnRecord, read_return_records
from gpicl_envs.evaluation.schema import to_json
from gpicl_envs.report import group, merge
from gpicl_envs.report.returns import returns_details, returns_leaderboard
from gpicl_envs.report.tables import as_latex, as_markdown


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
        ({"reward": Band([], [], [])}, "0 steps, but episode_return 20 episodes"),
        ({"episode_regret": Band([0.5] * 20, [0.4] * 20, [0.6] * 19)}, "high holds 19 episodes of 20"),
        ({"wall_seconds": -1.0}, "wall_seconds=-1.0"),
        ({"episodes": 0}, "episodes=0"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(records, changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        replace(records[1], **changes)


def is_read(path: Path, content: bytes) -> bool:
    """Whether a file is read and reported; if not, the error must be short, and name the file."""
    path.write_bytes(content)
    try:
        found = read_return_records(path)
    except ValueError as error:
        assert str(path) in str(error) and len(str(error)) < 2000
        return False
    try:  # what was read can be reported, or the report says why not
        columns = group(merge({str(path): found}))
        assert as_markdown(returns_details(columns)) and as_latex(returns_leaderboard(columns))
    except ValueError as error:
        assert len(str(error)) < 2000
    return True


def test_every_damaged_record_is_read_or_refused_by_its_file(tmp_path: Path):
    small = return_records(problems=4, length=3)
    lines = [to_json(record) for record in (*small, failed_record(small[0], "no memory"))]
    whole = "\n".join([*lines, ""]).encode()
    assert is_read(tmp_path / "r.jsonl", whole)
    read = 0
    for seed in range(300):
        chance = random.Random(seed)
        i = chance.randrange(4)
        damaged = [*lines[:i], damaged_value(lines[i], chance), *lines[i + 1 :], ""]
        read += is_read(tmp_path / "r.jsonl", "\n".join(damaged).encode() if seed % 2 else damaged_bytes(whole, chance))
    assert 15 < read < 240  # the damage is neither always fatal nor mostly harmless
