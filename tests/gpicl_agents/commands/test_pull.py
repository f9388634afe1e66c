"""`gpicl pull` against a hub of the tests' own: see `sharing/test_hub.py`. Here, what needs none."""

from pathlib import Path

import pytest
from command_line import check_error


def test_without_a_network_it_says_so(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    check_error("pull user/name", "user/name is not in the cache, and http://127.0.0.1:9 cannot be reached", capsys)
    check_error("evaluate --learner hf:user/name", "try again with a network connection", capsys)
    check_error("pull name", "'name' is not the name of a repository: give USER/NAME", capsys)
