from pathlib import Path

import pytest
from command_line import check_error

from gpicl_agents.models.lstm import LSTM
from gpicl_agents.models.transformer import Transformer
from gpicl_agents.training.checkpoint import save_checkpoint
from gpicl_envs.cli import main


def test_a_run_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_checkpoint(tmp_path / "run", Transformer(784, 4, width=8, n_heads=2, input_rank=4), {"step": 1}, {})
    main(["playground", "--learner", str(tmp_path / "run"), "--out", str(tmp_path / "new" / "a.html")])
    shown = capsys.readouterr()
    assert shown.out.startswith("transformer in ") and (tmp_path / "new" / "a.html").as_uri() in shown.out
    page = (tmp_path / "new" / "a.html").read_text(encoding="utf-8")
    assert "<b>transformer</b>" in page and str(tmp_path) not in page


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, file = tmp_path / "a.html", tmp_path / "file"
    save_checkpoint(tmp_path / "values", Transformer(784, 1, width=8, n_heads=2, input_rank=4), {"step": 1}, {})
    save_checkpoint(tmp_path / "lstm", LSTM(784, 3, width=8, input_rank=4), {"step": 1}, {})
    file.write_text("taken")
    for learner, message in {
        tmp_path / "values": "transformer cannot run in the playground: it predicts real values. Give a transformer",
        tmp_path / "lstm": "lstm cannot run in the playground: it is not a plain transformer",
        tmp_path / "none": "There is no folder",
        "knn": "1-nn-cosine cannot run in the playground",
        "pretrained:gpicl-smal": "Did you mean 'gpicl-small'",
    }.items():
        check_error(f"playground --learner {learner} --out {out}", message, capsys)
    fine = "playground --learner transformer,width=8,input_rank=4"
    check_error(f"{fine} --out {file}/a.html", "a.html cannot be written: ", capsys)
    check_error(f"{fine} --out {tmp_path}/lstm", "lstm cannot be written: ", capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"values", "lstm", "file"} and file.read_text() == "taken"
