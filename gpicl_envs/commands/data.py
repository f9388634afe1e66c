"""`gpicl data`: list the base datasets, download them, check their files."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from gpicl_envs.commands.arguments import show
from gpicl_envs.datasets.cache import data_folder
from gpicl_envs.datasets.dataset import DatasetSpec, Location, simple_name
from gpicl_envs.datasets.registry import ARRAY_ID, DATASETS, find_dataset, npz_spec
from gpicl_envs.datasets.user import NpzFile, npz_files, unreadable_npz_files
from gpicl_envs.errors import DamagedDataError, printable

WIDTH = 180  # least number of characters in a line of the list


def data(
    action: tyro.conf.Positional[Literal["list", "download", "verify"]],
    names: tyro.conf.Positional[tuple[str, ...]] = (),
) -> None:
    """List the base datasets, download them, or check their files.

    Examples: `gpicl data list`; `gpicl data download CIFAR10 SVHN`; `gpicl data verify`.

    Args:
        action: list: all datasets with their place, size and licence; download: download the named datasets into the
            data folder; verify: check the files of the named datasets, or of all that are present.
        names: datasets: registered names, or those of NAME.npz files in the data folder.
    """
    {"list": _list, "download": _download, "verify": _verify}[action](names)


def _listed(names: tuple[str, ...]) -> list[DatasetSpec]:
    """The named datasets; by default the registered ones, then the other .npz files of the data folder.

    A file that shares the name of a registered dataset and is not its own goes by its name with the suffix.
    """
    if names:
        return [find_dataset(name) for name in names]
    taken = {simple_name(name): spec for name, spec in DATASETS.items()}
    others = []
    for name, file in npz_files().items():
        registered = taken.get(simple_name(name))
        if registered is None:
            others.append(npz_spec(file))
        elif not _is_own(registered, file):
            others.append(replace(npz_spec(file), name=file.path.name))
    return [*DATASETS.values(), *others]


def _is_own(spec: DatasetSpec, file: NpzFile) -> bool:
    """Whether a registered dataset is in this file, or might be: of several, its error names all."""
    try:
        location = spec.location()
    except ValueError:
        return True
    return location is not None and file.path in location.paths


def _list(names: tuple[str, ...]) -> None:
    columns = "dataset", "id", "present", "shape", "train + test", "classes", "download", "licence", "source", "where"
    table = Table(*columns, box=None)
    problems = []
    listed = _listed(names)
    for spec in listed:
        try:
            location = spec.location()
        except ValueError as error:  # several files could be meant, or one cannot be read
            location = None
            problems.append(str(error))
        counts = [f"{count:,}" for count in (spec.n_train, spec.n_test) if count is not None]
        table.add_row(
            spec.name,
            spec.env_id if spec.name in DATASETS and spec.has_env_id else ARRAY_ID,
            "no" if location is None else location.kind,
            "×".join(map(str, spec.shape)),
            " + ".join(counts),
            "" if spec.n_classes is None else f"{spec.n_classes:,}",
            "" if spec.download_mb is None else f"{spec.download_mb:,.0f} MB",
            spec.licence,
            spec.source,
            _place(location.paths[0]) if location is not None and location.paths else "",
        )
    Console(width=max(Console().width, WIDTH)).print(table)
    show(f"Data folder: {printable(str(data_folder()))} (GPICL_DATA_DIR names another).")
    namesakes = [spec.name for spec in listed if spec.name.endswith(".npz")]
    if namesakes:
        show(
            f"Files that share the name of a registered dataset: {', '.join(namesakes)}. Give dataset= the name with "
            "the suffix, as listed, or the path."
        )
    for problem in [*problems, *_unreadable(names, problems).values()]:
        show(f"Skipped: {problem}")


def _place(path: Path) -> str:
    """A file's place in the data folder, or its whole path if it is not there."""
    folder = data_folder().absolute()
    return str(path.absolute().relative_to(folder) if path.absolute().is_relative_to(folder) else path)


def _download(names: tuple[str, ...]) -> None:
    if not names:
        raise ValueError("`gpicl data download` needs names, such as CIFAR10: `gpicl data list` shows them.")
    from gpicl_envs.datasets.download import download

    for spec in _listed(names):
        download(spec.name, report=show)


def _verify(names: tuple[str, ...]) -> None:
    failed = {}
    for spec in _listed(names):
        try:
            location = spec.location()
            if location is None and not names:
                continue
            verified = True
            if spec.files is None:
                spec.load()
            else:
                verified = spec.files.verify()
        except (ValueError, OSError) as error:
            failed[spec.name] = " ".join(str(error).split())
            show(f"{spec.name}: {failed[spec.name]}")
        else:
            show(f"{spec.name}: {_outcome(location, verified)}")
    for name, why in _unreadable(names, failed.values()).items():
        name = printable(name)
        failed[name] = why
        show(f"{name}: {why}")
    if failed:
        raise DamagedDataError(f"{len(failed)} of the datasets failed, see above: {', '.join(failed)}.")


def _unreadable(names: tuple[str, ...], named: Iterable[str]) -> dict[str, str]:
    """What the data folder has that cannot be read, and no error has named yet; nothing if datasets were named."""
    told = "\n".join(named)
    return {} if names else {name: why for name, why in unreadable_npz_files().items() if why not in told}


def _outcome(location: Location | None, verified: bool) -> str:
    """The outcome of a check without an error."""
    if location is None:
        return "intact"
    if verified:
        return f"intact ({location.kind})"
    why = "no checksum of a whole .npz is known" if location.kind == "npz" else "no checksum of these files is known"
    return f"{location.kind}, readable, with consistent shapes and labels ({why})"
