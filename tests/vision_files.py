"""Small files in the formats of torchvision's datasets, of random images, whose checksums torchvision then expects."""

import bz2
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from gpicl_envs.datasets.registry import DATASETS
from gpicl_envs.datasets.torchvision import VisionFiles

VISION = [name for name, spec in DATASETS.items() if isinstance(spec.files, VisionFiles)]
SPLITS = ("train", "test")
OMNIGLOT_CHARACTERS = {
    "train": ["Zulu/character02", "Alpha/character01", "Alpha/character10"],
    "test": ["Beta/character01"],
}


class Small(NamedTuple):
    """What was written.

    Args:
        files: the dataset's files, as the registry knows them (with fewer classes for Omniglot).
        x: split → images that a loader must return (not for Omniglot, whose images are made smaller).
        y: split → labels that it must return.
    """

    files: VisionFiles
    x: dict[str, Any]
    y: dict[str, Any]


def write(name: str, folder: Path, patch: pytest.MonkeyPatch, seed: int = 0) -> Small:
    """Write a small dataset under the name of a registered one, and make torchvision's class expect its checksums."""
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision cannot be imported")
    files = DATASETS[name].files
    assert isinstance(files, VisionFiles)
    cls = getattr(datasets, files.class_name)
    generator = np.random.default_rng(seed)
    y = {split: generator.permutation(np.arange(files.n_classes).repeat(n)) for split, n in (("train", 3), ("test", 2))}
    x = {split: generator.integers(256, size=(len(y[split]), *files.shape), dtype=np.uint8) for split in SPLITS}
    if files.class_name == "Omniglot":
        y = _omniglot(cls, folder, patch)
        return Small(replace(files, n_classes=4), {}, y)
    WRITERS[files.class_name](cls, folder, patch, x, y)
    if name == "USPS":
        x = {split: _through_usps(values) for split, values in x.items()}
    return Small(files, x, y)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx(array: Any, kind: int = 8) -> bytes:
    """The idx format, big-endian: two zeros, the kind of number, how many dimensions, the dimensions, the numbers."""
    shape = struct.pack(f">{array.ndim}i", *array.shape)
    return struct.pack(">HBB", 0, kind, array.ndim) + shape + array.tobytes()


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5(content)


def _mnist(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    resources = []
    for split, prefix in (("train", "train"), ("test", "t10k")):
        for part, array in (("images-idx3", x[split]), ("labels-idx1", y[split].astype(np.uint8))):
            name = f"{prefix}-{part}-ubyte.gz"
            resources.append((name, put(folder / cls.__name__ / "raw" / name, gzip.compress(idx(array), mtime=0))))
    patch.setattr(cls, "resources", resources)


def _qmnist(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    resources = {}
    for split in SPLITS:
        facts = np.zeros((len(y[split]), 8), ">i4")
        facts[:, 0], facts[:, 1] = y[split], 77
        contents = {"images-idx3-ubyte": idx(x[split]), "labels-idx2-int": idx(facts, 12)}
        resources[split] = []
        for part, content in contents.items():
            name = f"qmnist-{split}-{part}.gz"
            digest = put(folder / "QMNIST" / "raw" / name, gzip.compress(content, mtime=0))
            resources[split].append((f"http://localhost/{name}", digest))
    patch.setattr(cls, "resources", resources)


def _emnist(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    """The archive holds all variants; letters are numbered from 1, images are stored transposed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gzip/emnist-byclass-train-images-idx3-ubyte.gz", b"not looked at")
        for variant, first in (("letters", 1), ("balanced", 0)):
            for split in SPLITS:
                images, labels = x[split].transpose(0, 2, 1), (y[split] + first).astype(np.uint8)
                for part, array in (("images-idx3", images), ("labels-idx1", labels)):
                    content = gzip.compress(idx(array), mtime=0)
                    archive.writestr(f"gzip/emnist-{variant}-{split}-{part}-ubyte.gz", content)
    patch.setattr(cls, "md5", put(folder / "EMNIST" / "raw" / "gzip.zip", stream.getvalue()))


def _usps(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    splits = {}
    for split, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        lines = []
        for image, label in zip(x[split].reshape(len(x[split]), -1), y[split], strict=True):
            values = " ".join(f"{i + 1}:{value / 255 * 2 - 1:.6f}" for i, value in enumerate(image))
            lines.append(f"{label + 1} {values} \n")
        digest = put(folder / name, bz2.compress("".join(lines).encode()))
        splits[split] = [f"http://localhost/{name}", name, digest]
    patch.setattr(cls, "split_list", splits)


def _through_usps(x: Any) -> Any:
    """Pixels after the six decimals of the file."""
    values = np.array([f"{value:.6f}" for value in (x / 255 * 2 - 1).ravel()], np.float32).reshape(x.shape)
    return ((values + 1) / 2 * 255).astype(np.uint8)


def _cifar(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    contents = {cls.meta["filename"]: pickle.dumps({cls.meta["key"]: ["name"]})}
    for split, names in (("train", cls.train_list), ("test", cls.test_list)):
        rows = x[split].transpose(0, 3, 1, 2).reshape(len(x[split]), -1)
        parts = np.array_split(np.arange(len(rows)), len(names))
        key = "labels" if cls.__name__ == "CIFAR10" else "fine_labels"
        for (name, _), part in zip(names, parts, strict=True):
            contents[name] = pickle.dumps({"data": rows[part], key: y[split][part].tolist()})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{cls.base_folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    patch.setattr(cls, "tgz_md5", put(folder / cls.filename, stream.getvalue()))
    for names in ("train_list", "test_list"):
        patch.setattr(cls, names, [[name, md5(contents[name])] for name, _ in getattr(cls, names)])
    patch.setattr(cls, "meta", cls.meta | {"md5": md5(contents[cls.meta["filename"]])})


def _svhn(cls: Any, folder: Path, patch: pytest.MonkeyPatch, x: Any, y: Any) -> None:
    """The digit 0 has the label 10."""
    splits = {}
    for split in SPLITS:
        stream = io.BytesIO()
        labels = np.where(y[split] == 0, 10, y[split]).astype(np.uint8)[:, None]
        savemat(stream, {"X": x[split].transpose(1, 2, 3, 0), "y": labels})
        name = f"{split}_32x32.mat"
        splits[split] = [f"http://localhost/{name}", name, put(folder / name, stream.getvalue())]
    patch.setattr(cls, "split_list", splits)


def _omniglot(cls: Any, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Black strokes on white: character k of the sorted list of both sets has its first 15 · (k + 1) rows black."""
    digests, labels, first = {}, {}, 0
    for split, zip_name in (("train", "images_background"), ("test", "images_evaluation")):
        stream = io.BytesIO()
        characters = OMNIGLOT_CHARACTERS[split]
        with zipfile.ZipFile(stream, "w") as archive:
            for character in characters:
                number = first + sorted(characters).index(character)
                for drawer in (2, 1):
                    pixels = np.ones((105, 105), bool)
                    pixels[: 15 * (number + 1)] = False
                    png = io.BytesIO()
                    Image.fromarray(pixels).save(png, "png")
                    archive.writestr(f"{zip_name}/{character}/0001_{drawer:02}.png", png.getvalue())
        digests[zip_name] = put(folder / "omniglot-py" / f"{zip_name}.zip", stream.getvalue())
        labels[split] = np.arange(first, first + len(characters)).repeat(2)
        first += len(characters)
    patch.setattr(cls, "zips_md5", digests)
    return labels


WRITERS = {
    "FashionMNIST": _mnist,
    "KMNIST": _mnist,
    "EMNIST": _emnist,
    "QMNIST": _qmnist,
    "USPS": _usps,
    "CIFAR10": _cifar,
    "CIFAR100": _cifar,
    "SVHN": _svhn,
}
