from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import check_error

from gpicl_envs.cli import main

pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")


def test_the_command_trains_and_says_how_to_go_on(tmp_path, capsys):
    settings = ["n_features=12", "n_classes=3", "length=10"]
    main(
        ["train-sb3", "--algorithm", "PPO", "--env", "GPICL-Clusters-v0", "--env-kwargs", *settings]
        + ["--seconds", "1", "--num-envs", "2", "--out", str(tmp_path / "p")]
    )
    assert "Evaluate: gpicl evaluate --learners sb3:" in capsys.readouterr().out.replace("\n", "")


def test_the_command_hands_its_options_to_the_training(monkeypatch: pytest.MonkeyPatch, capsys):
    given: dict[str, Any] = {}

    def train_policy(*names: Any, **options: Any) -> SimpleNamespace:
        given.update(options, names=names)
        return SimpleNamespace(name="sb3-PPO")

    monkeypatch.setattr("gpicl_baselines.adapters.sb3_policy.train_policy", train_policy)
    main("train-sb3 --algorithm PPO --env GPICL-Digits-v0 --env-kwargs length=5 --seconds 7 --seed 3".split())
    assert given == {
        "names": ("PPO", "GPICL-Digits-v0", Path("runs/sb3-PPO")),
        **{"seconds": 7.0, "num_envs": 16, "seed": 3, "device": "cpu", "length": 5},
    }
    assert "sb3-PPO was trained for 7 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--env GPICL-Digit-v0", "Did you mean 'GPICL-Digits-v0'"),
        ("--env GPICL-Digits-v0 --env-kwargs n_classes", "n_classes"),
    ],
)
def test_bad_input_ends_with_one_clear_line(options: str, message: str, capsys):
    check_error(f"train-sb3 {options}", message, capsys)


def test_a_policy_of_an_rl_problem_is_evaluated_by_the_command_that_is_shown(tmp_path, capsys):
    line = f"train-sb3 --env GPICL-Bandit-v0 --env-kwargs n_arms=3 length=6 --seconds 0.2 --num-envs 2 --out {tmp_path}"
    main(f"{line}/p".split())
    shown = " ".join(capsys.readouterr().out.split()).partition("Evaluate: gpicl ")[2].split()
    assert shown[:5] == ["evaluate-rl", "--env", "GPICL-Bandit-v0", "--env-kwargs", "n_arms=3"]
    played = ["--players", f"sb3:{tmp_path}/p", "uniform"]
    main([*shown[:6], *played, "--problems", "20", "--out", str(tmp_path / "scores")])
    printed = capsys.readouterr().out
    assert "sb3-RecurrentPPO" in printed and "uniform" in printed
