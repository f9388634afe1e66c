"""The code that a learner consists of: the module of its class, and the modules of the user's that it imports."""

import ast
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

OWN = __name__.partition(".")[0]  # evaluates the learner; its version and commit are in every record
INSTALLED = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})


def source_code(made: Any) -> bytes:
    """Return the source of a class's module, and of all modules outside the installed packages that it imports.

    Imports anywhere in the code count. Not seen are installed packages, modules that are imported by a computed name,
    compiled code, and data files.
    """
    module = inspect.getmodule(made)
    files = _files(module) if isinstance(module, ModuleType) else {}
    if not files:
        return str(getattr(made, "__qualname__", repr(made))).encode()
    return b"".join(name.encode() + files[name] for name in sorted(files))


def _files(module: ModuleType) -> dict[str, bytes]:
    """Module name → source, of a module wherever it is and of those outside installed packages that it imports."""
    found: dict[str, bytes] = {}
    waiting = [module.__name__]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _source_path(name)
        if path is not None:
            found[name] = path.read_bytes()
            imported = {name, *_imported(name, path, found[name])}
            waiting += {
                other for each in imported if _is_users(each.partition(".")[0]) for other in _with_parents(each)
            }
    return found


def _with_parents(name: str) -> list[str]:
    """Such as a, a.b and a.b.c: importing the last one runs them all."""
    parts = name.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _imported(name: str, path: Path, source: bytes) -> Iterator[str]:
    """The absolute names that a module imports, at any depth of its code; some may be no modules, but objects."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*above, node.module]))
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _source_path(name: str) -> Path | None:
    """The file of a module; None if there is no such module, or no source of it."""
    try:
        module = sys.modules.get(name)
        spec = importlib.util.find_spec(name) if module is None else None
        file = getattr(module, "__file__", None) if spec is None else spec.origin
    except (ImportError, ValueError):
        return None
    return Path(file) if file and file.endswith(".py") and Path(file).is_file() else None


@cache
def _is_users(package: str) -> bool:
    """Whether a package or module at the top is neither this package nor an installed one; it may have no source."""
    if package == OWN or package in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    places = (
        [spec.origin] if spec and spec.has_location else list(spec.submodule_search_locations or ()) if spec else []
    )
    return any(place and not set(INSTALLED) & set(Path(place).resolve().parents) for place in places)
