"""The notebook examples/tour.ipynb runs from the first cell to the last, and is committed without its outputs."""

import json
import re
from pathlib import Path

import pytest

TOUR = Path(__file__).parent.parent / "examples" / "tour.ipynb"


def test_it_is_committed_without_outputs():
    cells = [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [5, 60])
def test_it_runs(seconds: int, tmp_path: Path):
    """With less meta-training than its reader gives it, and with all of it."""
    nbformat = pytest.importorskip("nbformat", reason="needs the extra dev")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra dev")
    pytest.importorskip("ipykernel", reason="needs the extra dev")
    notebook = nbformat.read(TOUR, as_version=4)
    (training,) = [cell for cell in notebook.cells if "max_seconds=60.0" in cell.source]
    training.source = training.source.replace("max_seconds=60.0", f"max_seconds={seconds}.0")
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert text.startswith("(784,)") and re.search(r"^0\.\d+ \[0\.\d+, 0\.\d+\]$", text, flags=re.MULTILINE)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2  # an episode, and the curves
    assert re.search(r"^step \d+: \d+ % on unseen tasks$", text, flags=re.MULTILINE)
    assert re.search(r"^  unseen-task: \d+ → \d+ %, gain", text, flags=re.MULTILINE)
    assert seconds < 60 or "general-purpose learning" in text
    assert re.search(r"^\| 1-nn-cosine \|.*\|$", text, flags=re.MULTILINE)
    assert (tmp_path / "runs" / "tour-benchmark.jsonl").is_file()
