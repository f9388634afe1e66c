"""`gpicl data`."""

from pathlib import Path

import numpy as np
import pytest
import vision_files

from gpicl_envs.cli import main
from gpicl_envs.datasets import DATASETS
from gpicl_envs.datasets.registry import find_dataset


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of `gpicl data ...`."""
    code = 0
    try:
        main(["data", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return (code, *capsys.readouterr())


def row(output: str, name: str) -> str:
    return next(line for line in output.splitlines() if line.split()[:1] == [name])


def random_npz(path: Path, shape: tuple[int, ...] = (16, 16)) -> None:
    x = np.random.default_rng(0).integers(256, size=(20, *shape), dtype=np.uint8)
    np.savez(path, x_train=x, y_train=np.arange(20) % 10)


def test_the_list_shows_what_is_there_and_where(own_data: Path, monkeypatch, capsys):
    vision_files.write("CIFAR10", own_data, monkeypatch)
    random_npz(own_data / "usps.npz")
    random_npz(own_data / "flowers.npz")
    code, output, _ = run(capsys, "list")
    assert code == 0 and str(own_data) in output
    for name, spec in DATASETS.items():
        assert spec.env_id in row(output, name) and spec.licence in row(output, name)
    assert row(output, "MNIST").split()[2:7] == ["embedded", "28×28", "60,000", "+", "10,000"]
    assert row(output, "CIFAR10").split()[2:4] == ["batches", "32×32×3"] and "171 MB" in row(output, "CIFAR10")
    assert row(output, "USPS").split()[2] == "npz" and "usps.npz" in output
    assert row(output, "Omniglot").split()[2] == "no" and "1,623" in row(output, "Omniglot")
    assert row(output, "flowers").split()[1:3] == ["GPICL-Array-v0", "npz"]
    assert not any(line.startswith(" usps ") for line in output.splitlines()) and "share the name" not in output


def test_the_list_shows_files_that_share_a_registered_name_and_how_to_reach_them(own_data: Path, capsys):
    for name in ("digits", "m_nist", "usps"):  # the last is the registered dataset's own
        random_npz(own_data / f"{name}.npz")
    code, output, _ = run(capsys, "list")
    assert code == 0
    told = next(line for line in output.splitlines() if "share the name of a registered dataset" in line)
    assert "digits.npz, m_nist.npz." in told and row(output, "USPS").split()[2] == "npz"
    for name in ("digits.npz", "m_nist.npz"):
        assert row(output, name).split()[1:3] == ["GPICL-Array-v0", "npz"]
        assert find_dataset(name).load().x["train"].shape == (20, 16, 16)
    assert row(output, "Digits").split()[2] == "embedded"
    assert run(capsys, "verify")[1].count("digits.npz: npz, readable") == 1


def test_verify_names_what_is_damaged_and_ends_with_code_2(own_data: Path, monkeypatch, capsys):
    vision_files.write("CIFAR10", own_data, monkeypatch)
    random_npz(own_data / "usps.npz")
    code, output, error = run(capsys, "verify")
    assert code == 0 and error == ""
    assert output.splitlines()[0] == "MNIST: intact (embedded)"
    assert (
        "CIFAR10: intact (batches)" in output
        and "USPS: npz, readable, with consistent shapes and labels" in output
        and "SVHN" not in output
    )
    archive = own_data / "cifar-10-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-5])
    random_npz(own_data / "usps.npz", (15, 16))
    code, output, error = run(capsys, "verify")
    assert code == 2 and error == "error: 2 of the datasets failed, see above: USPS, CIFAR10.\n"
    assert "CIFAR10: " in output and "cifar-10-python.tar.gz is damaged" in output and "usps.npz is refused" in output
    assert "MNIST: intact" in output


def test_verify_of_a_named_dataset_that_is_missing_says_so(own_data: Path, capsys):
    code, output, _ = run(capsys, "verify", "MNIST", "SVHN", "Array")
    assert code == 2 and "SVHN: SVHN is not in the data folder" in output and "dataset='mine'" in output


def test_download_says_what_it_did(own_data: Path, monkeypatch, capsys):
    vision_files.write("USPS", own_data, monkeypatch)
    code, output, _ = run(capsys, "download", "usps", "Digits")
    assert code == 0
    assert output.splitlines() == ["USPS: all files are intact.", "Digits: embedded, nothing to download."]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download"], "needs names, such as CIFAR10"),
        (["download", "CIFAR1"], "Unknown dataset 'CIFAR1'. Did you mean 'CIFAR10'"),
        (["verify", "nothing"], "Unknown dataset 'nothing'"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(arguments: list[str], message: str, own_data: Path, capsys):
    code, _, error = run(capsys, *arguments)
    assert code == 2 and error.startswith("error: ") and error.count("\n") == 1 and message in error


def test_what_cannot_be_read_or_could_be_any_of_several_does_not_hide_the_rest(own_data: Path, capsys):
    """Two names of USPS, a broken link in the place of KMNIST, and one that stands for nothing."""
    random_npz(own_data / "us-ps.npz")
    random_npz(own_data / "us_ps.npz")
    random_npz(own_data / "flowers.npz")
    (own_data / "kmnist.npz").symlink_to(own_data / "gone")
    (own_data / "broken.npz").symlink_to(own_data / "gone")
    code, output, error = run(capsys, "list")
    assert code == 0 and error == ""
    assert row(output, "USPS").split()[2] == row(output, "KMNIST").split()[2] == "no"
    assert row(output, "flowers").split()[2] == "npz" and row(output, "Clusters").split()[2] == "computed"
    skipped = [line for line in output.splitlines() if line.startswith("Skipped: ")]
    assert len(skipped) == 3 and "could be any of us-ps.npz, us_ps.npz" in skipped[1]
    assert "kmnist.npz is a link to nothing. Put a file there" in skipped[0] and "broken.npz" in skipped[2]

    code, output, error = run(capsys, "verify")
    assert code == 2 and error == "error: 3 of the datasets failed, see above: KMNIST, USPS, broken.\n"
    assert "flowers: npz, readable" in output and output.count("is a link to nothing") == 2


def test_a_registered_dataset_of_two_files_is_refused_by_both_names(own_data: Path, capsys):
    random_npz(own_data / "us-ps.npz")
    random_npz(own_data / "us_ps.npz")
    code, output, _ = run(capsys, "verify", "USPS")
    assert code == 2 and "'USPS' could be any of us-ps.npz, us_ps.npz" in output


def test_a_file_outside_the_data_folder_is_listed_by_its_path(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPICL_DATA_DIR", "data")
    for place in ("mine.npz", "data/yours.npz"):
        random_npz(tmp_path / place)
    monkeypatch.setenv("COLUMNS", "400")
    code, output, error = run(capsys, "list", "./mine.npz", "yours", "./data/yours.npz")
    assert (code, error) == (0, "")
    assert str(tmp_path / "mine.npz") in output and " yours.npz" in output
