"""Downloads by pooch: each file is verified in a temporary folder before it moves into the data folder."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from gpicl_envs.datasets.cache import data_folder, md5_of
from gpicl_envs.datasets.files import writing
from gpicl_envs.datasets.registry import find_dataset
from gpicl_envs.datasets.torchvision import VisionFiles
from gpicl_envs.datasets.torchvision_formats import KnownFile
from gpicl_envs.errors import DamagedDataError, MissingDataError

PAUSES = (0.0, 1.0, 4.0, 15.0)  # seconds before each try
SILENCE = 60.0  # seconds without data before a connection is given up
HEADERS = {"User-Agent": "gpicl-envs", "Accept-Encoding": "identity"}  # a .gz file must not be unpacked
CHUNK = 1 << 18  # bytes

Report = Callable[[str], None]


def download(name: str, report: Report = print) -> None:
    """Download a dataset's files into the data folder; intact files stay, damaged ones are replaced.

    A second process that wants the same files waits, and then finds them.

    Args:
        name: a registered name.
        report: gets a line of text for each file.

    Raises:
        UnknownNameError: no such dataset.
        MissingDataError: a file could not be downloaded; the message gives the reasons and another way to get it.
        DamagedDataError: NAME.npz in the data folder has this name, and is damaged.
        OSError: the data folder cannot be written to, or the disk is full.
    """
    spec = find_dataset(name)
    files, location = spec.files, spec.location()
    if not isinstance(files, VisionFiles):
        if location is None:
            raise MissingDataError(f"{spec.name} cannot be downloaded: it stands for your data.")
        report(f"{spec.name}: {location.kind}, nothing to download.")
        return
    if location is not None and location.kind == "npz":
        files.verify()
        report(f"{spec.name}: {location.paths[0]} is intact.")
        return
    folder = data_folder()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{files.class_name}.lock"):
        if _intact(files):
            report(f"{spec.name}: all files are intact.")
        else:
            _download_missing(files, folder, report)


def _intact(files: VisionFiles) -> bool:
    """Whether nothing needs to be downloaded: the files are torchvision's, or are readable in another form."""
    location = files.location()
    if location is None:
        return False
    try:
        return files.verify() or not {data_folder() / name for name in files.names} & {*location.paths}
    except DamagedDataError:
        return False


def _download_missing(files: VisionFiles, folder: Path, report: Report) -> None:
    """Download what is missing or damaged; the lock is held."""
    known = files.known()
    scratch = folder / f".{files.class_name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    try:
        for path in (folder / name for name in files.names):
            if path.is_file() and md5_of(path) == known[path.name].md5:
                continue
            downloaded = _fetch(files, known[path.name], scratch / path.name)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                downloaded.replace(path)
            report(f"{files.name}: {path} downloaded and verified.")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch(files: VisionFiles, known: KnownFile, target: Path) -> Path:
    """Download and verify a file, trying all its addresses several times."""
    from pooch import HTTPDownloader, retrieve
    from requests import RequestException

    downloader = HTTPDownloader(sys.stderr.isatty(), CHUNK, headers=HEADERS, timeout=SILENCE)
    reasons: dict[str, None] = {}  # in order, each once
    for pause in PAUSES:
        time.sleep(pause)
        for url in known.urls:
            try:
                return Path(retrieve(url, f"md5:{known.md5}", target.name, target.parent, downloader=downloader))
            except OSError as error:
                if not isinstance(error, RequestException | ConnectionError | TimeoutError):  # of the disk
                    raise OSError(f"{target} cannot be written: {error.strerror or error}.") from error
                reasons[f"{url}: {error}"] = None
            except ValueError as error:  # of pooch, for another checksum
                reasons[f"{url}: {error}"] = None
    raise MissingDataError(
        f"{files.name} could not be downloaded after {len(PAUSES)} tries: {'; '.join(reasons)}. Try again later. "
        f"{files.offline_help()}"
    )
