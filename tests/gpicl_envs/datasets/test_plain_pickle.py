"""Pickles are read as data; what would run code is refused and runs nothing."""

import os
import pickle
import pickletools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gpicl_envs.datasets import plain_pickle
from gpicl_envs.datasets.plain_pickle import read_pickled_dict

# What Python 2 writes, by hand: {"data": numpy.arange(4, dtype="uint8"), "labels": [1, 300], "batch_label": "a"}.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
    b"q\x05(K\x01K\x04\x85cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    b"b\x89U\x04\x00\x01\x02\x03tbU\x06labelsq\x07]q\x08(K\x01M\x2c\x01eU\x0bbatch_labelq\x09U\x01au."
)


class Runs:
    """A pickle of it calls a function of the operating system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Imports(Runs):
    def __reduce__(self):
        return subprocess.check_output, (["touch", str(self.path)],)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_come_back(protocol: int):
    x = np.arange(24, dtype=np.uint8).reshape(2, 12)
    given = {"data": x, "labels": [1, -70_000, 3 << 40], "names": ["a", "ä"], "bytes": b"\x00\xff", "f": 0.5, "n": None}
    given |= {
        "big": x.T.astype(">i4"),
        "fortran": np.asfortranarray(x),
        "numbers": [np.int64(7)],
        "yes": True,
        "t": (1, 2),
    }
    found = read_pickled_dict(pickle.dumps(given, protocol))
    assert found.keys() == given.keys()
    for key, value in given.items():
        assert np.array_equal(found[key], value) and np.asarray(found[key]).dtype == np.asarray(value).dtype, key
    again = read_pickled_dict(pickle.dumps({"data": x, "same": x}, protocol))
    assert np.array_equal(again["same"], x)


def test_a_pickle_of_python_2_is_read():
    found = read_pickled_dict(PYTHON_2)
    assert found["data"].tolist() == [0, 1, 2, 3] and found["data"].dtype == np.uint8
    assert found["labels"] == [1, 300] and found["batch_label"] == b"a"
    assert pickle.loads(PYTHON_2, encoding="bytes")[b"data"].tolist() == [0, 1, 2, 3]  # it is one


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [Runs, Imports])
def test_what_would_run_code_is_refused_and_runs_nothing(kind: type, protocol: int, tmp_path: Path):
    content = pickle.dumps({"data": np.zeros(3, np.uint8), "labels": kind(tmp_path / "ran")}, protocol)
    with pytest.raises(ValueError, match=r"it would call '\w+.\w+', which plain data do not need; nothing was run"):
        read_pickled_dict(content)
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)  # it would have run
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"(S'ran'\nios\nmkdir\n.",  # INST
        b"(cos\nmkdir\nS'ran'\no.",  # OBJ
        b"cos\nmkdir\n(S'ran'\ntR.",
        b"\x80\x02c__builtin__\neval\nU\x01a\x85R.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ
        b"\x80\x02cnumpy\nload\nU\x01a\x85R.",
        b"\x80\x02cnumpy\nndarray\n(K\x01tR.",
        b"\x80\x02cnumpy\ndtype\nU\x01O\x85R.",
        b"\x80\x02\x82\x01.",  # EXT1
        b"P1\n.",  # PERSID
        b"\x80\x02}cnumpy\ndtype\n}b.",  # a state that is no tuple
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02h\x05.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}(]K\x01u.",
        b"\x80\x02}}.",
        b"\x80\x02K\x01.",
        b"\x80\x02(.",
        b"\x80\x02u.",
        b"",
        b".",
        b"}",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"no pickle at all",
    ],
    ids=repr,
)
def test_everything_else_is_refused(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError):
        read_pickled_dict(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value", [np.array([None, {}], object), np.array([(1, 2.0)], "i4,f4"), np.array(["a"]), {1, 2}]
)
def test_only_numbers_are_in_arrays(value):
    with pytest.raises(ValueError):
        read_pickled_dict(pickle.dumps({"data": value}))


def test_a_shape_that_its_bytes_do_not_fill_is_refused():
    content = pickle.dumps({"data": np.zeros((4, 8), np.uint8)}, 2)
    assert content.count(b"K\x04K\x08\x86") == 1
    for shape in (b"K\x04K\x09\x86", b"J\xff\xff\xff\xffK\x08\x86", b"J\xff\xff\xff\x7fK\x08\x86"):
        with pytest.raises(ValueError):
            read_pickled_dict(content.replace(b"K\x04K\x08\x86", shape))


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
def test_no_damage_breaks_the_reader_in_another_way():
    content = pickle.dumps({"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}, 2)
    generator = np.random.default_rng(0)
    for _ in range(3000):
        changed = bytearray(content)
        for place in generator.integers(len(content), size=2):
            changed[place] = generator.integers(256)
        try:
            read_pickled_dict(bytes(changed[: generator.integers(1, 2 * len(content))]))
        except ValueError:
            pass


def test_endless_lists_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plain_pickle, "MOST_OPCODES", 100)
    with pytest.raises(ValueError, match="more than 100 parts"):
        read_pickled_dict(pickle.dumps({"labels": list(range(200))}))


def test_opcodes_that_are_understood_exist():
    names = {opcode.name for opcode in pickletools.opcodes}
    known = plain_pickle.VALUES | plain_pickle.TEXTS_OF_PYTHON_2 | plain_pickle.SKIPPED
    assert known | plain_pickle.PLAIN.keys() | plain_pickle.TUPLES.keys() <= names
