"""What other packages bring by entry points, read once as long as no package comes or goes."""

import os
import sys
import warnings
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

OWN = "gpicl-envs"  # the package whose names no other takes


def plugins(group: str) -> dict[str, EntryPoint]:
    """Name → entry point of a group, of all installed packages; warns of a name that a second package gives away."""
    found: dict[str, tuple[str, EntryPoint]] = {}
    for package, point in sorted(installed(group), key=lambda pair: pair[0] != OWN):
        first_package, first = found.setdefault(point.name, (package, point))
        if first.value != point.value:
            warnings.warn(
                f"The package {package} registers {point.name!r} ({group}) as {point.value}, but "
                f"{first_package} has that name, for {first.value}, which stays: give {point.value}, or rename it.",
                stacklevel=2,
            )
    return {name: point for name, (_, point) in found.items()}


def installed(group: str) -> tuple[tuple[str, EntryPoint], ...]:
    """(package, entry point) of a group, read again if packages came or went since the last call."""
    return _read(group, tuple((os.path.abspath(folder), _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int:
    """When something was last added to a folder of the import path, or removed from it; 0 if there is no folder."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _read(group: str, folders: tuple[tuple[str, int], ...]) -> tuple[tuple[str, EntryPoint], ...]:
    """Read the metadata of all packages, which takes 15 ms, and every call that names a learner needs them."""
    return tuple(("?" if point.dist is None else point.dist.name, point) for point in entry_points(group=group))
