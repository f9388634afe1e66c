import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gpicl_envs.learners import plugins as module
from gpicl_envs.learners.plugins import installed, plugins
from gpicl_envs.learners.registry import learner_targets

GROUP = "gpicl.learners"
THEIRS = [("other-learners", EntryPoint(name, f"other:{name}", GROUP)) for name in ("knn", "new")]


def install(folder: Path, package: str, points: str) -> None:
    """Write the metadata of a package with entry points."""
    metadata = folder / f"{package}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")


def test_a_package_that_registers_a_taken_name_is_told(monkeypatch: pytest.MonkeyPatch):
    """Whatever the order of installation, the name means what it meant before; another process can rely on it."""
    own = installed(GROUP)
    monkeypatch.setattr(module, "installed", lambda group: (*THEIRS, *own))
    with pytest.warns(UserWarning, match="other-learners registers 'knn'.* as other:knn, but gpicl-envs has that name"):
        targets = learner_targets()
    assert targets["knn"].startswith("gpicl_baselines") and targets["new"] == "other:new"


def test_the_same_package_twice_on_the_path_is_no_conflict(monkeypatch: pytest.MonkeyPatch, recwarn):
    own = installed(GROUP)
    monkeypatch.setattr(module, "installed", lambda group: (*own, *own))
    assert "knn" in plugins(GROUP) and not [w for w in recwarn if "registers" in str(w.message)]


def test_a_package_that_comes_or_goes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "packages").mkdir()
    assert "parrot" not in plugins(GROUP)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    assert "parrot" not in plugins(GROUP)
    install(tmp_path / "packages", "parrots", "parrot = parrots:Parrot")
    assert plugins(GROUP)["parrot"].value == "parrots:Parrot"
    assert ("parrots", plugins(GROUP)["parrot"]) in installed(GROUP)
    sys.path.remove(str(tmp_path / "packages"))
    assert "parrot" not in plugins(GROUP)


def test_metadata_are_read_once(monkeypatch: pytest.MonkeyPatch):
    found = plugins(GROUP)

    def never(**options: str) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(module, "entry_points", never)
    assert plugins(GROUP) == found
