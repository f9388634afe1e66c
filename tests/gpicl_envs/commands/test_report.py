from pathlib import Path

import pytest
from command_line import check_error
from small_records import scored_record

from gpicl_envs.cli import main
from gpicl_envs.evaluation.jsonl import append_jsonl


def test_a_missing_record_file_is_named(capsys: pytest.CaptureFixture[str]):
    check_error("report none.jsonl", "There is no record file none.jsonl", capsys)


def test_a_folder_stands_for_the_records_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check_error(f"report {tmp_path}", f"There is no record file {tmp_path / 'records.jsonl'}", capsys)
    append_jsonl(tmp_path / "records.jsonl", [scored_record((5, 6))])
    main(["report", str(tmp_path), "--out", str(tmp_path / "page")])
    assert (tmp_path / "page" / "index.html").is_file()


def test_records_of_several_files_become_one_table_and_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file, record in zip(files, (scored_record((5, 6)), scored_record((7, 8), learner="b")), strict=True):
        append_jsonl(file, [record])
    main(["report", *map(str, files), "--out", str(tmp_path / "page"), "--title", "Two learners"])
    table = (tmp_path / "page" / "table.md").read_text(encoding="utf-8")
    assert 0 < table.index("| b |") < table.index("| a |")
    assert "index.html" in capsys.readouterr().out
    assert "Two learners" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
