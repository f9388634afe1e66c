import pytest

from gpicl_envs.cli import main


def test_the_command_says_bad_input_in_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["experiment", "nothing"])
    error = capsys.readouterr().err
    assert "Unknown experiment 'nothing'" in error and error.count("\n") == 1
