import pytest

from gpicl_envs.cli import main
from gpicl_envs.registration import environments, rl_environments


def test_the_list_comes_from_the_registry(capsys: pytest.CaptureFixture[str]):
    main(["envs"])
    output = capsys.readouterr().out
    assert "GPICL-MNIST-v0" in output and all(env_id in output for env_id in environments() | rl_environments())
