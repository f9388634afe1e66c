"""Datasets that come with a package."""

import numpy as np
import pytest

from gpicl_envs.datasets import builtin, load_dataset


def test_mnist_is_whole():
    dataset = load_dataset("mnist")
    assert len(dataset.y["train"]) == 60_000 and len(dataset.y["test"]) == 10_000
    assert dataset.y["train"][:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert np.bincount(dataset.y["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_a_flipped_bit_in_mnist_is_refused(tmp_path, monkeypatch):
    original = builtin.files("gpicl_envs.datasets")
    content = bytearray((original / "data" / "mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(builtin, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"mnist\.npz is damaged.*Reinstall"):
        builtin.load_mnist()
