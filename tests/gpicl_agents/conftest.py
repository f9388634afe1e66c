from pathlib import Path

import pytest


@pytest.fixture
def no_svhn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path / "nothing"))
