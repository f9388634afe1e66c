from pathlib import Path

import pytest
from command_line import check_error

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs.cli import main

onnx = pytest.importorskip("onnx", reason="ONNX needs the extra onnx")


def test_a_run_becomes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_checkpoint(tmp_path / "run", LSTM(6, 3, width=8, input_rank=4), {"step": 1}, {})
    main(["export-model", str(tmp_path / "run"), str(tmp_path / "out.onnx"), "--kind", "step", "--n-examples", "4"])
    shown = capsys.readouterr()
    assert "lstm, step, examples: up to 4, in" in shown.out and "largest difference to PyTorch" in shown.out
    assert shown.err == "" and onnx.load(str(tmp_path / "out.onnx")).producer_name == "gpicl-envs"


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check_error(f"export-model lstm {tmp_path}/out.pt", "does not end in .onnx: give such a file", capsys)
    check_error(f"export-model lstm {tmp_path}/out.onnx --n-examples 1", "n_examples=1 is not allowed", capsys)
    check_error(f"export-model {tmp_path}/none {tmp_path}/out.onnx", "There is no folder", capsys)
    check_error(f"export-model knn {tmp_path}/out.onnx", "it has no meta-trained weights", capsys)
    assert not list(tmp_path.iterdir())
