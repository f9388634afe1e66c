import pytest
from command_line import check_error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("quickstart --episodes 0", "episodes=0"),
        ("quickstart --scale -1", "scale=-1"),
    ],
)
def test_bad_input_ends_with_one_clear_line(line: str, message: str, capsys: pytest.CaptureFixture[str]):
    check_error(line, message, capsys)
