"""`gpicl push` against a hub of the tests' own: see `sharing/test_hub.py`. Here, what needs none."""

from pathlib import Path

from command_line import check_error


def test_a_folder_without_a_checkpoint_cannot_be_pushed(tmp_path: Path, capsys):
    check_error(f"push {tmp_path} user/name", "holds no checkpoint", capsys)
    check_error(f"push {tmp_path} name", "'name' is not the name of a repository: give USER/NAME", capsys)
