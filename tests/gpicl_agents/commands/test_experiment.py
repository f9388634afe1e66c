import sys
from pathlib import Path

import pytest
from command_line import check_error
from tiny_experiment import tiny_module

from gpicl_agents.experiments.engine.sweep import RECORDS
from gpicl_agents.experiments.engine.trial import SCHEMA, TrialRecord
from gpicl_envs.cli import main
from gpicl_envs.evaluation.jsonl import read_jsonl


def test_the_command_says_bad_input_in_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["experiment", "nothing"])
    error = capsys.readouterr().err
    assert "Unknown experiment 'nothing'" in error and error.count("\n") == 1


def test_an_experiment_is_run_reported_and_not_repeated(no_svhn, tmp_path: Path, monkeypatch, capsys):
    module = "gpicl_agents.experiments.engine.experiment"
    monkeypatch.setattr(f"{module}.NAMES", ("tiny",))
    monkeypatch.setitem(sys.modules, "gpicl_agents.experiments.tiny", tiny_module())
    command = ["experiment", "tiny", "--scale", "paper", "--workers", "1"]
    monkeypatch.chdir(tmp_path)
    main(command)
    folder = Path("runs/experiments/tiny-paper")
    (record,) = read_jsonl(folder / RECORDS, TrialRecord, SCHEMA)
    printed = capsys.readouterr().out
    assert record.status == "ok" and record.scale == "paper" and record.training.steps == 6
    assert "[1/1] n_tasks=1: done" in printed and "# Tiny (paper scale)" in printed and "- 1 trials." in printed
    assert f"Records: {folder / RECORDS}. Report: {folder / 'report.md'}" in printed
    main([*command, "--out", str(folder)])
    assert "1 of 1 trials are done already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "Which experiment? There are phases, heatmap"),
        ("phases --time-limit 0", "time_limit=0.0"),
        ("phases --workers 0", "workers=0"),
        ("phases --device tpu", "device='tpu'"),
    ],
)
def test_bad_options_are_refused_before_any_training(options: str, message: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_error(f"experiment {options}", message, capsys)
    assert not list(tmp_path.iterdir())
