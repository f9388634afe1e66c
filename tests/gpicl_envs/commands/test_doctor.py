import pytest

from gpicl_envs import __version__
from gpicl_envs.cli import main
from gpicl_envs.commands import installation


def test_it_shows_versions_devices_data_and_extras(own_data, capsys: pytest.CaptureFixture[str]):
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"gpicl-envs {__version__}, Python 3.") and lines[-1] == "All that is required works."
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    for package in installation.required_packages():
        assert rows[package.name] == [package.name, package.installed, *package.needed.split(), "ok"]
    assert rows["cpu"][-1] == "works" and str(own_data) in " ".join(rows["folder:"])
    assert "MNIST," in rows["here:"] and "CIFAR10," in rows["missing:"]
    for name, brings in installation.EXTRAS.items():
        assert " ".join(rows[name]).endswith(brings)


def test_what_is_missing_is_one_line_and_exit_code_2(monkeypatch, capsys: pytest.CaptureFixture[str]):
    broken = installation.Package("numpy", ">=1.26", "1.2", fits=False)
    monkeypatch.setattr(installation, "required_packages", lambda extra="": [broken])
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    output, error = capsys.readouterr()
    assert stop.value.code == 2 and "All that is required works" not in output
    assert error == "error: 1 problem: numpy 1.2 is installed, but >=1.26 is needed.\n"
    assert "cluster" in output and "[NAME]' adds one" in output


def test_code_that_was_not_installed_is_told(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(installation, "is_installed", lambda: False)
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    output, error = capsys.readouterr()
    assert stop.value.code == 2 and "cpu" in output and "without having been installed: pip install it" in error
