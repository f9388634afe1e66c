"""Small files of CIFAR-10 and SVHN in every form in which people have them; no checksum is known of them."""

import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

SPLITS = ("train", "test")
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
Splits = Mapping[str, Any]


def examples(seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split → (M, 32, 32, 3) images, and split → (M,) labels: three and two examples of each of ten classes."""
    generator = np.random.default_rng(seed)
    y = {split: generator.permutation(np.arange(10).repeat(n)) for split, n in (("train", 3), ("test", 2))}
    return {split: generator.integers(256, size=(len(y[split]), 32, 32, 3), dtype=np.uint8) for split in SPLITS}, y


def rows(images: Any) -> Any:
    """(M, 32, 32, 3) → (M, 3072): planes of red, green and blue."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def png(image: Any, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def by_file(x: Splits, y: Splits, ending: str = "") -> dict[str, tuple[Any, Any]]:
    """File name → its images and labels, as CIFAR-10 has five batches to train."""
    parts = zip(np.array_split(x["train"], 5), np.array_split(y["train"], 5), strict=True)
    files = {f"data_batch_{i}{ending}": part for i, part in enumerate(parts, 1)}
    return files | {f"test_batch{ending}": (x["test"], y["test"])}


def batch(images: Any, labels: Any, protocol: int = 2) -> bytes:
    return pickle.dumps({b"data": rows(images), b"labels": labels.tolist(), b"filenames": [b"a.png"]}, protocol)


def binary(images: Any, labels: Any) -> bytes:
    return np.concatenate([labels.astype(np.uint8)[:, None], rows(images)], 1).tobytes()


def mat(images: Any, labels: Any) -> bytes:
    stream = io.BytesIO()
    y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    savemat(stream, {"X": images.transpose(1, 2, 3, 0), "y": y}, do_compression=True)
    return stream.getvalue()


def tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def parquet(images: Any, labels: Any, image: str = "img", label: str = "label") -> bytes:
    """As Hugging Face writes it: a column of structs of bytes and path, and one of int64."""
    import pyarrow
    import pyarrow.parquet

    cells = [{"bytes": png(each), "path": f"{i}.png"} for i, each in enumerate(images)]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    table = pyarrow.table({image: pyarrow.array(cells, kind), label: pyarrow.array(labels.astype(np.int64))})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


def write_batches(folder: Path, x: Splits, y: Splits) -> None:
    for name, part in by_file(x, y).items():
        put(folder / "cifar-10-batches-py" / name, batch(*part))


def write_batch_archive(folder: Path, x: Splits, y: Splits) -> None:
    files = {f"cifar-10-batches-py/{name}": batch(*part) for name, part in by_file(x, y).items()}
    put(folder / "cifar-10-python.tar.gz", tar(files | {"cifar-10-batches-py/readme.html": b"<html>"}))


def write_binary(folder: Path, x: Splits, y: Splits) -> None:
    for name, part in by_file(x, y, ".bin").items():
        put(folder / "cifar-10-batches-bin" / name, binary(*part))


def write_binary_archive(folder: Path, x: Splits, y: Splits) -> None:
    files = {f"cifar-10-batches-bin/{name}": binary(*part) for name, part in by_file(x, y, ".bin").items()}
    put(folder / "cifar-10-binary.tar.gz", tar(files))


def write_mat(folder: Path, x: Splits, y: Splits) -> None:
    for split in SPLITS:
        put(folder / f"{split}_32x32.mat", mat(x[split], y[split]))


def write_npz(name: str) -> Callable[[Path, Splits, Splits], None]:
    def write(folder: Path, x: Splits, y: Splits) -> None:
        np.savez(folder / name, x_train=x["train"], y_train=y["train"], x_test=x["test"], y_test=y["test"])

    return write


def write_parquet(folder_name: str, image: str) -> Callable[[Path, Splits, Splits], None]:
    """Two files to train."""

    def write(folder: Path, x: Splits, y: Splits) -> None:
        for i, part in enumerate(zip(np.array_split(x["train"], 2), np.array_split(y["train"], 2), strict=True)):
            put(folder / folder_name / f"train-0000{i}-of-00002.parquet", parquet(*part, image))
        put(folder / folder_name / "test-00000-of-00001.parquet", parquet(x["test"], y["test"], image))

    return write


def write_folders(folder_name: str, classes: list[str]) -> Callable[[Path, Splits, Splits], None]:
    """In the order of their numbers, so that the same number in every class comes first."""

    def write(folder: Path, x: Splits, y: Splits) -> None:
        for split in SPLITS:
            for i, (image, label) in enumerate(zip(x[split], y[split], strict=True)):
                put(folder / folder_name / split / classes[label] / f"{i:04}.png", png(image))

    return write


# Dataset, kind as `gpicl data list` shows it, and what writes it into a data folder.
FORMS = [
    ("CIFAR10", "batches", write_batches),
    ("CIFAR10", "batches", write_batch_archive),
    ("CIFAR10", "binary", write_binary),
    ("CIFAR10", "binary", write_binary_archive),
    ("CIFAR10", "npz", write_npz("cifar-10.npz")),
    ("CIFAR10", "parquet", write_parquet("cifar10/plain_text", "img")),
    ("CIFAR10", "parquet", write_parquet("datasets--uoft-cs--cifar10/snapshots/0b2714/plain_text", "img")),
    ("CIFAR10", "folders", write_folders("CIFAR-10", CLASSES)),
    ("SVHN", "mat", write_mat),
    ("SVHN", "npz", write_npz("svhn.npz")),
    ("SVHN", "parquet", write_parquet("svhn/cropped_digits", "image")),
    ("SVHN", "folders", write_folders("svhn", [str(i) for i in range(10)])),
]
