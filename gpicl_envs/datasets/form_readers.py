"""Readers of 32×32 colour images, one for each kind of file; the files may come from anyone.

They are read as data: nothing in them is run, and what would fill the memory is refused before it is unpacked. A
reader returns (M, 32, 32, 3) uint8 images and their (M,) labels: numbers, or texts that name the classes. It raises
ValueError, or whatever a library raises, for a file that is not what it should be.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpicl_envs.datasets.plain_pickle import read_pickled_dict
from gpicl_envs.errors import MissingDataError

SHAPE = (32, 32, 3)
LARGEST = 1 << 29  # bytes of a file, or of what it unpacks to; the largest real one has 250 MB
IMAGE_FORMATS = ("PNG", "JPEG", "BMP")
IMAGE_COLUMNS = ("img", "image")


class ImageExamples(NamedTuple):
    """(M, 32, 32, 3) uint8 images and (M,) labels."""

    x: NDArray[np.uint8]
    y: NDArray[Any]


def read_content(path: Path) -> bytes:
    """Return the content of a file; raises ValueError if it is larger than any of these datasets."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, more than any file of this dataset")
    return path.read_bytes()


class _Limited:
    """A stream that refuses to give more than `LARGEST` bytes."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.left = stream, LARGEST

    def read(self, size: int) -> Any:
        if size > self.left:
            raise ValueError(f"it unpacks to more than {LARGEST:,} bytes")
        content = self.stream.read(size)
        self.left -= len(content)
        return content


def members(path: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield name and content of every file in a .tar.gz, which is unpacked into memory, one file at a time."""
    with gzip.open(path) as packed:
        stream: Any = _Limited(packed)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield Path(member.name), file.read()
        while stream.read(1 << 16):  # to the checksum at the end
            pass


def read_batch(path: Path, content: bytes, *, labels: str) -> ImageExamples:
    """Read one of the pickles that CIFAR's page calls the Python version, without unpickling it."""
    found = read_pickled_dict(content)
    if missing := {"data", labels} - found.keys():
        raise ValueError(f"it has no {' and no '.join(sorted(missing))}, but {', '.join(found) or 'nothing'}")
    x, y = found["data"], np.asarray(found[labels])
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != np.prod(SHAPE):
        raise ValueError(f"its data are {_described(x)}, not uint8 of shape (M, 3072)")
    return ImageExamples(_channels_last(x), y)


def read_binary(path: Path, content: bytes, *, labels: int) -> ImageExamples:
    """Read a file of CIFAR's binary version: the last of so many bytes is the label, then come red, green and blue."""
    size = labels + int(np.prod(SHAPE))
    if not content or len(content) % size:
        raise ValueError(f"it has {len(content):,} bytes, not a multiple of {size:,}")
    rows = np.frombuffer(content, np.uint8).reshape(-1, size)
    return ImageExamples(_channels_last(rows[:, labels:]), rows[:, labels - 1].astype(np.int64))


def read_mat(path: Path, content: bytes) -> ImageExamples:
    """Read SVHN's cropped digits from a MATLAB file: X (32, 32, 3, M), and y (M, 1), in which 10 stands for 0."""
    from scipy.io import loadmat, whosmat

    stored = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(content))}
    shape, kind = stored.get("X", ((), "missing"))
    if shape[:3] != SHAPE or len(shape) != 4 or kind != "uint8" or np.prod(shape) > LARGEST:
        raise ValueError(f"its X is {kind} of shape {shape}, not uint8 of shape (32, 32, 3, M)")
    if stored.get("y", ((),))[0] not in ((shape[3], 1), (1, shape[3])):
        raise ValueError(f"its y is {stored.get('y', 'missing')}, not of shape ({shape[3]}, 1)")
    found = loadmat(io.BytesIO(content), variable_names=("X", "y"))
    y = np.asarray(found["y"], np.float64).reshape(-1)
    if not np.isin(y, np.arange(11)).all():
        raise ValueError("its labels are not digits, 1 … 10 with 10 for 0")
    return ImageExamples(found["X"].transpose(3, 0, 1, 2), y.astype(np.int64) % 10)


def read_parquet(path: Path, content: bytes, *, labels: tuple[str, ...]) -> ImageExamples:
    """Read a file as Hugging Face's datasets have it: a column of PNG files, `img` or `image`, and one of labels."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingDataError(f"{path} needs pyarrow: pip install 'gpicl-envs[parquet]'.") from error
    file = ParquetFile(io.BytesIO(content))
    names = file.schema_arrow.names
    columns = [next((name for name in wanted if name in names), "") for wanted in (IMAGE_COLUMNS, labels)]
    if not all(columns):
        wanted = f"{' or '.join(IMAGE_COLUMNS)}, and {' or '.join(labels)}"
        raise ValueError(f"it has the columns {', '.join(names)}, not {wanted}")
    if sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST:,} bytes")
    table = file.read(columns=columns)
    images = [_image(cell["bytes"] if isinstance(cell, dict) else cell) for cell in table[columns[0]].to_pylist()]
    return ImageExamples(np.stack(images), table[columns[1]].to_numpy())


def read_image(path: Path, content: bytes) -> ImageExamples:
    """Read one image; its folder names its class."""
    return ImageExamples(_image(content)[None], np.array([path.parent.name]))


def _image(content: Any) -> NDArray[np.uint8]:
    """(32, 32, 3) pixels of a PNG, JPEG or BMP file; its size is checked before it is unpacked."""
    if not isinstance(content, bytes):
        raise ValueError(f"it has {type(content).__name__} where the bytes of an image should be")
    with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
        if image.size != SHAPE[:2]:
            raise ValueError(f"it has an image of {image.width}×{image.height} pixels, not 32×32")
        return np.asarray(image.convert("RGB"))


def _channels_last(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(M, 3072) of red, green and blue planes → (M, 32, 32, 3)."""
    height, width, channels = SHAPE
    return rows.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
