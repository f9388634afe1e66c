"""Downloads: each file into a temporary folder beside its place, verified, and only then given its name."""

import shutil
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from gpicl_envs.datasets.cache import data_folder, md5_of
from gpicl_envs.datasets.dataset import DatasetSpec
from gpicl_envs.datasets.registry import find_dataset
from gpicl_envs.datasets.torchvision import VisionFiles
from gpicl_envs.datasets.torchvision_formats import KnownFile
from gpicl_envs.errors import DamagedDataError, MissingDataError

PAUSES = (1.0, 4.0, 15.0)  # seconds before the second, third and fourth try
SILENCE = 60.0  # seconds without a byte after which a connection is given up
PIECE = 1 << 18

Say = Callable[[str], None]


def download(name: str, say: Say = print) -> None:
    """Bring a dataset's files into the data folder; what is there and intact stays, what is damaged is replaced.

    A second process that asks for the same files waits, and then finds them.

    Args:
        name: a registered name.
        say: is told what happens, line by line.

    Raises:
        UnknownNameError: no such dataset.
        MissingDataError: a file could not be had; the message tells the reasons and the way without a network.
        DamagedDataError: NAME.npz of the data folder serves this name, and is damaged.
        OSError: the data folder cannot be written to.
    """
    spec = find_dataset(name)
    files = spec.files
    if not isinstance(files, VisionFiles):
        say(_needs_none(spec))
        return
    location = files.location()
    if location is not None and location.kind == "npz":
        files.verify()
        say(f"{spec.name}: {location.paths[0]} is there and intact.")
        return
    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{files.class_name}.lock"):
        if _intact(files):
            say(f"{spec.name}: all files are there and intact.")
        else:
            _bring(files, folder, say)


def _intact(files: VisionFiles) -> bool:
    location = files.location()
    try:
        if location is not None:
            files.verify()
    except DamagedDataError:
        return False
    return location is not None


def _bring(files: VisionFiles, folder: Path, say: Say) -> None:
    """Download what is missing or damaged; the lock is held."""
    known = files.known()
    scratch = folder / f".{files.class_name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    scratch.mkdir()
    try:
        for path in (folder / name for name in files.names):
            if path.is_file() and md5_of(path) == known[path.name].md5:
                continue
            _fetch(files, known[path.name], scratch / path.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            (scratch / path.name).replace(path)
            say(f"{files.name}: {path} downloaded and verified.")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _needs_none(spec: DatasetSpec) -> str:
    location = spec.location()
    if location is None:
        raise MissingDataError(f"{spec.name} cannot be downloaded: it stands for data of your own.")
    return f"{spec.name}: {location.kind}, nothing to download."


def _fetch(files: VisionFiles, known: KnownFile, target: Path) -> None:
    """Download a file and verify it, trying all its addresses several times."""
    reasons: dict[str, None] = {}  # in order, each once
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        for url in known.urls:
            try:
                _receive(url, target)
                if md5_of(target) == known.md5:
                    return
                reason = f"{target.stat().st_size:,} bytes came that have another checksum"
            except (OSError, HTTPException) as error:  # OSError: also what urllib raises
                reason = str(error) or type(error).__name__
            reasons[f"{url}: {reason}"] = None
    raise MissingDataError(
        f"{files.name} could not be downloaded after {1 + len(PAUSES)} tries: {'; '.join(reasons)}. Try again later. "
        f"{files.offline_help()}"
    )


def _receive(url: str, target: Path) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    request = Request(url, headers={"User-Agent": "gpicl-envs"})
    with urlopen(request, timeout=SILENCE) as response, target.open("wb") as file:
        length = response.headers.get("Content-Length")
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(target.name, total=None if length is None else int(length))
            while piece := response.read(PIECE):
                file.write(piece)
                progress.advance(bar, len(piece))
