import json
import signal
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from command_line import AGENT, check_error, run, run_in_one_process

from gpicl_envs.cli import COMMANDS_GROUP, commands, main


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "Example" in capsys.readouterr().out


def test_the_overview_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for name, command in commands().items():
        assert any(line.split(maxsplit=1) == [name, command.__doc__.splitlines()[0]] for line in lines if line), name
    assert {"train", "train-rl", "evaluate"} <= commands().keys() == entry_points(group=COMMANDS_GROUP).names


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    main(["--version"])
    assert capsys.readouterr().out == f"gpicl-envs {version('gpicl-envs')}\n"


def test_help_needs_no_torch():
    code = "import sys; from gpicl_envs.cli import overview; overview(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_an_unknown_command_lists_the_valid_ones(capsys: pytest.CaptureFixture[str]):
    check_error("trian", "Unknown command 'trian'. Did you mean 'train'", capsys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_with_code_130(number: signal.Signals, monkeypatch, capsys):
    def interrupt(*arguments: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr("gpicl_envs.cli.run_command", interrupt)
    with pytest.raises(SystemExit) as stop:
        main(["envs"])
    assert stop.value.code == 130 and "interrupted: what was written before is kept" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow)])
def test_a_terminal_that_lacks_letters_ends_no_run(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("PYTHONUTF8", "0")
    (tmp_path / "my_agent.py").write_text(AGENT.replace('"Sums', 'name = "ŷ → \\x1b[31m"\n    "Sums'), encoding="utf-8")
    small = "--env", "GPICL-Digits-v0", "--env-kwargs", "length=5", "n_features=16"
    commands = [
        [0, "evaluate", "--learners", "my_agent:Nearest", *small, "--episodes", 4],
        [0, "report", "runs/records.jsonl"],
        [0, "train", "tiny", "--steps", 2, *small, "--out", "run"],
        [0, "check", "my_agent:Nearest"],
        [0, "data", "list"],
        [2, "evaluate", "--learners", "ŷ"],
    ]
    done = run_in_one_process(commands if encoding == "ascii" else commands[:2], cwd=tmp_path, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "\x1b[31m" not in done.stdout
    page = (tmp_path / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert r"ŷ → \x1b[31m" in page and "\x1b" not in page


def test_train_evaluate_and_report_work_together(tmp_path: Path):
    """The whole thread at its smallest, in a folder of the user's, with an agent of theirs."""
    (tmp_path / "my_agent.py").write_text(AGENT)
    small = "--env-kwargs", "length=12", "n_features=64"
    options = "tiny", "--env", "GPICL-Digits-v0", *small, "--out", "run", "--seed", 3
    learners = "--learners", "run", "my_agent:Nearest", "knn"
    commands = [
        [0, "train", *options],
        [2, "train", *options],
        [0, "train", *options, "--resume"],
        [0, "evaluate", *learners, "--env", "GPICL-Digits-v0", *small, "--episodes", 50],
    ]
    done = run_in_one_process(commands, cwd=tmp_path)
    assert done.returncode == 0 and "holds a run already: resume it" in done.stderr, done.stderr
    assert "last ten" in done.stdout
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 30
    report = run("report", "runs/records.jsonl", "--out", "page", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert "| Nearest | 0 |" in done.stdout and "transformer+similarity" in done.stdout
    assert (tmp_path / "page" / "index.html").stat().st_size > 1e6
