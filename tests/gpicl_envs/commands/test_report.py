import pytest
from command_line import check_error


def test_a_missing_record_file_is_named(capsys: pytest.CaptureFixture[str]):
    check_error("report none.jsonl", "There is no record file none.jsonl", capsys)
