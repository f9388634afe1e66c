import sys
from pathlib import Path

import pytest
from small_suites import LEARNERS

from gpicl_envs.suites.definitions import SUITES, Cell, Suite


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    """Two small cells, and the module of LEARNERS on the import path."""
    cells = (
        Cell("digits", "GPICL-Digits-v0", "unseen-dataset", 40, length=30),
        Cell("clusters", "GPICL-Clusters-v0", "unseen-dataset", 40, length=30),
    )
    made = Suite("small", "for tests", cells)
    monkeypatch.setitem(SUITES, "small", made)
    (tmp_path / "rogues.py").write_text(LEARNERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rogues", raising=False)  # that of another test's folder
    return made
