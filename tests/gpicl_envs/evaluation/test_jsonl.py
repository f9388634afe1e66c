import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from full_disk import full_disk

from gpicl_envs.evaluation import jsonl
from gpicl_envs.evaluation.jsonl import append_jsonl, read_jsonl


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True)
class Line:
    schema: str = "test-1"
    name: str = ""
    point: Point = Point(0.0, 0.0)
    second: Point | None = None
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Good:
    size: int
    schema: str = "test-1"
    status: Literal["ok"] = "ok"

    def __post_init__(self) -> None:
        if self.size > 9:
            raise ValueError(f"size={self.size} is too large")


@dataclass(frozen=True)
class Bad:
    why: str
    schema: str = "test-1"
    status: Literal["failed"] = "failed"


LINES = [Line(name="a", point=Point(1.0, 2.5)), Line(name="b", second=Point(3.0, 4.0), numbers=(1.0, 2.0))]


def test_records_survive_the_file(tmp_path: Path):
    path = tmp_path / "deep" / "records.jsonl"
    append_jsonl(path, LINES[:1])
    append_jsonl(path, LINES[1:])
    assert read_jsonl(path, Line, "test-1") == LINES
    append_jsonl(tmp_path / "two.jsonl", [Good(3), Bad("no")])
    assert read_jsonl(tmp_path / "two.jsonl", Good | Bad, "test-1") == [Good(3), Bad("no")]


def test_no_records_make_an_empty_file_and_show_that_it_can_be_written(tmp_path: Path):
    append_jsonl(tmp_path / "r.jsonl", [])
    assert read_jsonl(tmp_path / "r.jsonl", Line, "test-1") == []
    with pytest.raises(OSError):
        append_jsonl(tmp_path / "r.jsonl" / "r.jsonl", [])


def test_a_missing_field_reads_as_its_default_and_an_unknown_one_is_left_out(tmp_path: Path):
    (tmp_path / "r.jsonl").write_text('{"schema": "test-1", "name": "old"}\n{"schema": "test-1", "newer": 3}\n')
    assert read_jsonl(tmp_path / "r.jsonl", Line, "test-1") == [Line(name="old"), Line()]


@pytest.mark.parametrize(
    ("kept", "after"),
    [
        ("", ""),
        ("whole\n", '{"schema": "te'),
        ("whole\n", "12\u00e4"),  # cut in the middle of a letter, below
        ("", '{"schema": "te'),
    ],
)
def test_a_line_that_was_cut_short_is_removed_before_others_are_added(tmp_path: Path, kept: str, after: str):
    path = tmp_path / "r.jsonl"
    whole = json.dumps(asdict(LINES[0])) + "\n"
    path.write_bytes((kept.replace("whole\n", whole) + after).encode()[: -1 if after.endswith("\u00e4") else None])
    append_jsonl(path, LINES[1:])
    assert read_jsonl(path, Line, "test-1") == LINES[0 if kept else 1 :]


def test_a_last_line_that_only_misses_its_end_is_kept(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(asdict(LINES[0])))
    append_jsonl(path, LINES[1:])
    assert read_jsonl(path, Line, "test-1") == LINES


def test_a_full_disk_adds_no_record_and_names_the_file(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    append_jsonl(path, LINES[:1])
    size = path.stat().st_size
    for room in (0, 10, size, size + 10):  # nothing of the first, a part of it, all of it and a part of the second
        with full_disk(size + room), pytest.raises(OSError, match="r.jsonl cannot be written: File too large"):
            append_jsonl(path, LINES)
        assert read_jsonl(path, Line, "test-1") == LINES[:1]


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Lines longer than what is read at a time are repaired, too."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"not JSON and never read\n" + json.dumps(asdict(LINES[0])).encode() + b'\n{"schema": "te')
    monkeypatch.setattr(jsonl, "BLOCK", 7)
    append_jsonl(path, LINES[1:])
    assert path.read_bytes().startswith(b"not JSON and never read\n")
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert read_jsonl(path, Line, "test-1") == LINES


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        (Line, '{"schema": "test-1", "lear', "line 2 is not JSON .*or remove the line"),
        (Line, '{"schema": "other"}', "line 2 has the schema 'other', but this version reads 'test-1'. Make"),
        (Line, "{}", "line 2 has the schema None"),
        (Line, "3", "line 2 has the schema 'int'"),
        (Line, '{"schema": "test-1", "name": 3}', "line 2: name=3: Input should be a valid string. Make the record"),
        (Line, '{"schema": "test-1", "point": 3}', "line 2: point=3: Input should be an array"),
        (Line, '{"schema": "test-1", "point": [1]}', "line 2: point.1 is missing"),
        (Line, '{"schema": "test-1", "point": [1, NaN]}', "line 2: point.1=nan: Input should be a finite number"),
        (Line, '{"schema": "test-1", "second": [1, NaN]}', "line 2: second.*1=nan: Input should be a finite number"),
        (Line, '{"schema": "test-1", "numbers": [1, Infinity]}', "line 2: numbers.1=inf: .* finite"),
        (Line, '{"schema": "test-1", "numbers": [1, "2"]}', "line 2: numbers.1='2': Input should be a valid number"),
        (Good | Bad, '{"schema": "test-1", "status": "ok"}', "line 2: size is missing"),
        (Good | Bad, '{"schema": "test-1", "status": "ok", "size": true}', "line 2: size=True"),
        (Good | Bad, '{"schema": "test-1", "status": "ok", "size": 10}', "line 2: size=10 is too large. Make"),
        (Good | Bad, '{"schema": "test-1", "status": "failed", "why": 1}', "line 2: why=1"),
        (Good | Bad, '{"schema": "test-1", "status": "good"}', "line 2: .*'good'.*expected tags: 'ok', 'failed'"),
        (Good | Bad, '{"schema": "test-1"}', "line 2: .*'status'"),
    ],
)
def test_what_is_no_record_is_refused_by_line_and_field(tmp_path: Path, kind: type, line: str, message: str):
    path = tmp_path / "r.jsonl"
    append_jsonl(path, [Line() if kind is Line else Good(1)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=f"r.jsonl, {message}"):
        read_jsonl(path, kind, "test-1")


def test_what_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "r.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="r.jsonl is not a text file .*: give a file of records"):
        read_jsonl(tmp_path / "r.jsonl", Line, "test-1")
