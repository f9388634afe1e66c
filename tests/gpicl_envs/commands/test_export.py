from pathlib import Path

import pytest
from command_line import check_error
from safetensors.numpy import load_file

from gpicl_envs import TableDistribution
from gpicl_envs.cli import main


def test_episodes_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "tables.safetensors"
    main(["export", "--out", str(out), "--episodes", "5", "--env-kwargs", "n_features=20", "length=8", "--seed", "2"])
    assert "5 episodes of GPICL-SyntheticTables-v0" in capsys.readouterr().out
    expected = TableDistribution(n_features=20, length=8).sample(5, seed=2)
    assert (load_file(out)["y"] == expected.y.numpy()).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export --out a.csv", "ends in .h5 or .safetensors"),
        ("export --out a.safetensors --env GPICL-Table-v0", "Unknown environment 'GPICL-Table-v0'"),
        ("export --out a.safetensors --env-kwargs shots=3", "'shots': it is one of TaskDistribution alone"),
        ("export --out a.safetensors --episodes 0", "episodes=0"),
    ],
)
def test_bad_input_ends_in_one_line(line: str, message: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_error(line, message, capsys)
    assert list(tmp_path.iterdir()) == []
