import os
import re
import signal
from pathlib import Path

import pytest
from command_line import AGENT, check_error

from gpicl_agents.commands.preset_options import default_folder
from gpicl_agents.commands.train import TrainOptions, parse_options
from gpicl_agents.training.checkpoint import find_checkpoint, read_config
from gpicl_agents.training.presets import PRESETS
from gpicl_envs.cli import main
from gpicl_envs.commands.arguments import Words

DIGITS = "--env GPICL-Digits-v0 --env-kwargs n_features=64 length=8"


def options(line: str) -> TrainOptions:
    return parse_options(Words(line.split()))[1]


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_s_help_shows_its_own_values(name: str, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    preset, text = PRESETS[name], help_of("train", name, capsys=capsys)
    assert preset.description in text
    expected = {"learner": preset.spec, "batch_size": preset.batch_size} | vars(preset.config)
    for option, value in expected.items():
        shown = re.search(rf" --{option.replace('_', '-')}[ ,].*?\(default: ([^)]*)\)", text)
        wanted = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert shown is not None and shown[1].replace(", ", ",") == wanted, option


def test_help_lists_the_presets(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    text = help_of("train", capsys=capsys)
    assert all(f"• {name} {preset.description}" in text for name, preset in PRESETS.items())
    assert "(default: fast)" in text


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_word_chooses_the_defaults(name: str):
    chosen, preset = options(name), PRESETS[name]
    assert (chosen.config, chosen.learner, chosen.batch_size) == (preset.config, preset.spec, preset.batch_size)
    assert parse_options(Words([name]))[0] == name


def test_without_a_preset_functions_have_their_own():
    for line in ("--env GPICL-DecisionTree-v0", "--env=GPICL-DecisionTree-v0"):
        name, chosen = parse_options(Words(line.split()))
        assert (name, chosen.env) == ("regression", "GPICL-DecisionTree-v0")
        assert chosen.learner == PRESETS["regression"].spec
    assert parse_options(Words(["--env", "GPICL-Digits-v0"]))[0] == "fast"
    assert options("regression").env == "GPICL-LinearRegression-v0" and options("fast").env == "GPICL-MNIST-v0"
    with pytest.raises(ValueError, match="Unknown environment 'GPICL-Mist-v0'"):
        options("--env GPICL-Mist-v0")


def test_without_a_preset_it_is_fast_and_every_option_changes_one_setting():
    assert options("") == options("fast") and options("--steps 5") == options("fast --steps 5")
    line = "kernel --steps 5 --learning-rate 0.5 --evaluate-datasets Digits Random --compile-mode default"
    line += " --trackers tensorboard wandb"
    changed = vars(PRESETS["kernel"].config) | {"steps": 5, "learning_rate": 0.5, "compile_mode": "default"}
    changed |= {"evaluate_datasets": ("Digits", "Random"), "trackers": ("tensorboard", "wandb")}
    assert vars(options(line).config) == changed


def test_the_folder_is_named_after_the_preset_or_the_learner():
    assert default_folder("fast", PRESETS["fast"].spec, PRESETS) == Path("runs/fast")
    assert default_folder("fast", "my_agent:Agent,width=3", PRESETS) == Path("runs/my_agent-Agent")


def test_another_learner_takes_the_preset_s_training_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "lstm"
    main(f"train tiny --learner lstm,width=8 --learner-kwargs input_rank=5 {DIGITS} --seed 3 --out {out}".split())
    config = read_config(find_checkpoint(out))
    assert config["learner"] == "lstm" and config["step"] == PRESETS["tiny"].config.steps
    assert config["arguments"].items() >= {"width": 8, "input_rank": 5, "seed": 3}.items()
    assert f"Evaluate: gpicl evaluate --learners {out} knn --env GPICL-Digits-v0" in capsys.readouterr().out


def test_ctrl_c_saves_ends_with_code_130_and_the_run_is_resumed(tmp_path: Path, monkeypatch, capsys):
    line = f"train tiny {DIGITS} --out {tmp_path / 'run'}".split()
    from gpicl_agents.training.live_report import LiveReport

    show = LiveReport.__call__

    def interrupt(self: LiveReport, progress) -> None:
        show(self, progress)
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(LiveReport, "__call__", interrupt)
        with pytest.raises(SystemExit) as stop:
            main(line)
    output = capsys.readouterr().out
    assert stop.value.code == 130 and "saved at step 5 in" in output
    main([*line, "--resume"])
    assert "30 steps in" in capsys.readouterr().out
    assert read_config(find_checkpoint(tmp_path / "run"))["step"] == 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("user")
    (path / "my_agent.py").write_text(AGENT)
    return path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --out r --env GPICL-MNSIT-v0", "Unknown environment 'GPICL-MNSIT-v0'. Did you mean 'GPICL-MNIST-v0'"),
        ("train fats --out r", "Unknown preset 'fats'. Did you mean 'fast'"),
        ("train gru", "Unknown preset 'gru'. Valid: deltanet, fast,"),
        ("train tiny --out r --learner knn", "has no parameters to train"),
        ("train tiny --out r --learner my_agent:Nearest", "has no parameters to train"),
        ("train tiny --out r --learner kn", "Unknown learner 'kn'. Did you mean 'knn'"),
        ("train tiny --out r --learner-kwargs widht=3", "unexpected keyword argument 'widht'. Did you mean 'width'"),
        ("train tiny --out r --env-kwargs n_features=0", "n_features=0 is not allowed"),
        ("train --out r --env-kwargs n_features=32", "n_features=32 and n_classes=10: input_rank=64 is not allowed"),
        ("train tiny --out r --steps 0", "steps=0 is not allowed"),
        ("train tiny --out r --learner-kwargs width", "'width' is not an assignment: give NAME=VALUE"),
        ("train tiny --out r --env-kwargs feedback=reward", "train learns from labels"),
        ("train --out r --env GPICL-LinearRegression-v0 --learner rl2", "RL2 only classifies, but n_classes=1 stands"),
        ("train tiny --out r --batch-size 0", "num_envs=0"),
        ("train tiny --out r --max-seconds 0", "max_seconds=0"),
    ],
)
def test_bad_input_ends_with_one_clear_line(
    line: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(folder)
    check_error(line, message, capsys)
