"""Files that neither a kill nor a full disk leaves half-written, and locks that end with their process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 5.0  # seconds in which the processes of a run that was killed come to their end


@contextmanager
def exclusive(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within, no other process uses this file or folder; the thread that holds it may ask for it again.

    The operating system holds the lock, so it ends with its process, whatever ends that. Its empty file stays: `.lock`
    in a folder, `.NAME.lock` beside a file.

    Raises:
        ValueError: another process uses it.
        OSError: the lock's file cannot be made.
    """
    path = Path(path)
    lock = FileLock(path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock"), is_singleton=True)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise ValueError(
            f"{path} is in use by another process: wait until that has ended, or give another one (--out)."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within, an OSError says which file could not be written: that of a full disk does not by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the name of a new file, which takes the place of `path` at the end of the block: whole, or not at all.

    Its folder is made if needed. Raises OSError, which names `path`.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            sync(partial)
            partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file in UTF-8, whole or not at all; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk; Windows does not do this for folders."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
