"""A hundred odd data folders: each is read, or refused in one line that names the file and the place."""

import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from slow_stage import mostly_slow
from small_data import small_npz

from gpicl_envs.cli import main
from gpicl_envs.datasets.dataset import simple_name
from gpicl_envs.errors import printable

SEEDS = mostly_slow(range(200), range(15))


def mutated(generator: random.Random, path: Path) -> None:
    """A good file with a few bytes changed, cut out or put in."""
    small_npz(path)
    content = bytearray(path.read_bytes())
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(len(content))
        change = generator.choice(["flip", "cut", "drop", "insert"])
        if change == "flip":
            content[place] ^= 1 << generator.randrange(8)
        elif change == "cut":
            del content[max(1, place) :]
        elif change == "drop":
            del content[place : place + generator.randrange(1, 40)]
        else:
            content[place:place] = generator.randbytes(generator.randrange(1, 40))
        content = content or bytearray(b"P")
    path.write_bytes(content)


def arrays(generator: random.Random, path: Path) -> None:
    """Inputs and labels of any dtype, shape, values and names."""
    numbers = np.random.default_rng(generator.randrange(1 << 32))
    count = generator.choice([0, 1, 2, 3, 30, 30, 30])
    shape = generator.choice([(), (1,), (4, 4), (3, 5, 5), (2, 2, 2, 2), (1, 1), (0,), (5, 5, 2), (1,) * 20])
    x = numbers.normal(size=(count, *shape)) * generator.choice([1, 1, 100, 1e38, 1e300, 0, np.nan])
    with np.errstate(all="ignore"):
        x = x.astype(generator.choice(["f2", "f4", ">f8", "u1", "i4", "c8", "U3", "bool", "M8[s]", "O", "f8,i4"]))
    labels = np.arange(count) % generator.choice([1, 2, 3, 30]) + generator.choice([0, 0, 0, -1, 2**62])
    y = labels.astype(generator.choice(["i8", "u1", "u8", "f4", "U9", "O", "bool", "i2"]))
    y = generator.choice([y, y, y[:, None], np.eye(3)[labels % 3], y[:-1], y[..., None, None]])
    names = generator.choice(
        [("x_train", "y_train")] * 4
        + [("x_test", "y_test"), ("train_images", "train_labels"), ("x", "y")]
        + [("x_train", "y"), ("arr_0", "arr_1"), ("X_TRAIN", "Y_TRAIN"), ("x_train", "train_labels"), ("../x", "\n")]
    )
    np.savez(path, **dict(zip(names, (x, y), strict=True)))


def archive(generator: random.Random, path: Path) -> None:
    """Zip archives that numpy did not write: other members, compressions and headers."""
    header = generator.choice(
        [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x09\x09\x10\x00{}", b"\x80\x04N."]
    )
    text = generator.choice(
        ["{", "[" * 5000, "{'shape': (-1,)}", "{'descr': '|u1', 'fortran_order': 0, 'shape': (9" + "9" * 50]
    )
    body = (
        header if generator.random() < 0.5 else b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    )
    kind = generator.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(path, "w", kind) as file:
        for name in generator.sample(["x_train.npy", "y_train.npy", "x_train", "y_train", "a/b/", "b\x01.npy"], 4):
            file.writestr(name, body + generator.randbytes(generator.choice([0, 20])))


def not_a_file(generator: random.Random, path: Path) -> None:
    """A link to nothing, to itself or to a folder, a folder, a pipe, or a file of something else."""
    kind = generator.randrange(6)
    if kind < 3:
        path.symlink_to([path.parent / "gone", path, path.parent][kind])
    elif kind == 3:
        path.mkdir()
    elif kind == 4:
        os.mkfifo(path)
    else:
        path.write_bytes(generator.choice([b"", b"PK", b"\x1f\x8b", b"<html>", os.urandom(500)]))


WRITERS: list[Callable[[random.Random, Path], None]] = [mutated, arrays, archive, not_a_file]
NAMES = [
    "mine",
    "us-ps",
    "US_PS",
    "kmnist",
    "array",
    "di gits",
    "ma[i]n",
    "über",
    "a" * 200,
    "new\nline",
    "-x",
    "%s{}",
    "\udcff",
]


def fill(generator: random.Random, folder: Path) -> dict[str, Path]:
    paths = {}
    for name in generator.sample(NAMES, 4):
        paths[name] = folder / f"{name}.npz"
        generator.choice(WRITERS)(generator, paths[name])
    return paths


def outcome(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = 0
    try:
        main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    return (code, *capsys.readouterr())


@pytest.mark.parametrize("seed", SEEDS)
def test_an_odd_folder_is_read_or_refused_in_one_line(seed: int, own_data: Path, capsys: pytest.CaptureFixture[str]):
    generator = random.Random(seed)
    paths = fill(generator, own_data)
    code, output, error = outcome(["data", "list"], capsys)
    assert (code, error) == (0, "") and "Clusters" in output
    code, output, error = outcome(["data", "verify"], capsys)
    assert code in (0, 2) and error.count("\n") == (code == 2) and "Traceback" not in output + error
    for name in paths:
        try:
            env = gymnasium.make("GPICL-Array-v0", dataset=name, length=1, n_features=5, render_mode="rgb_array")
        except ValueError as refusal:  # bad input, as every error of this package is
            alike = [other for other in paths.values() if simple_name(other.stem) == simple_name(name)]
            named = [repr(name), *(file.name for file in alike), *(printable(str(file)) for file in alike)]
            assert any(text in str(refusal) for text in named), str(refusal)
            assert 20 < len(str(refusal)) < 1500
            continue
        observation, _ = env.reset(seed=0)
        assert np.isfinite(observation["x"]).all() and env.render().shape == (356, 760, 3)


@pytest.mark.parametrize("folder", ["", "gone", "file", "~nobody-of-this-name/data", "loop", "\udcff"])
def test_any_data_folder_can_be_named(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setenv("GPICL_DATA_DIR", folder if folder[:1] in ("", "~") else str(tmp_path / folder))
    code, _, error = outcome(["data", "list"], capsys)
    assert (code, error) == (0, "") or (code == 2 and error.count("\n") == 1 and "GPICL_DATA_DIR" in error)
