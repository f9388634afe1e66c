"""The notebook examples/tour.ipynb runs from the first cell to the last, and is committed without its outputs."""

import json
import re
from pathlib import Path

import pytest

TOUR = Path(__file__).parent.parent / "examples" / "tour.ipynb"


def test_it_is_committed_without_outputs():
    cells = [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_it_runs(tmp_path: Path):
    """About three minutes of two cores if they are free."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra dev")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra dev")
    pytest.importorskip("ipykernel", reason="needs the extra dev")
    notebook = nbformat.read(TOUR, as_version=4)
    nbclient.NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "(784,)" in text and "Interval(" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2  # an episode, and the curves
    assert re.search(r"^step 100: \d+ % on unseen tasks$", text, flags=re.MULTILINE)
    assert re.search(r"^  unseen-task: \d+ → \d+ %, gain", text, flags=re.MULTILINE)
    assert re.search(r"^\|.*1-nn.*\|$", text, flags=re.MULTILINE) and (tmp_path / "runs/tour-benchmark.jsonl").is_file()
