import pytest

from gpicl_envs.cli import main

pytest.importorskip("sb3_contrib", reason="needs the extra `rl`")


def test_the_command_trains_and_says_how_to_go_on(tmp_path, capsys):
    settings = ["n_features=12", "n_classes=3", "length=10"]
    main(
        ["train-sb3", "--algorithm", "PPO", "--env", "GPICL-Clusters-v0", "--env-kwargs", *settings]
        + ["--seconds", "1", "--num-envs", "2", "--out", str(tmp_path / "p")]
    )
    assert "Evaluate: gpicl evaluate --learners sb3:" in capsys.readouterr().out.replace("\n", "")
