"""examples/classify_your_table.py reads what people save as CSV, and says what is wrong with what is no table."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parent.parent / "examples" / "classify_your_table.py"
SPEC = importlib.util.spec_from_file_location("classify_your_table", PATH)
example = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(example)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_are_read_with_what_is_missing(tmp_path: Path, separator: str):
    rows = [["size", "colour", "kind"], ["1.5", "red", "a"], ["NA", "", "b"], ["-3e2", "blue", "a"]]
    (tmp_path / "t.csv").write_text("\n".join(separator.join(row) for row in rows) + "\n\n", encoding="utf-8-sig")
    x, y, text = example.read_csv(str(tmp_path / "t.csv"))
    assert text == [1] and y.tolist() == ["a", "b", "a"] and x[:, 1].tolist() == ["red", "", "blue"]
    assert np.array_equal(x[:, 0].astype(float), [1.5, np.nan, -300], equal_nan=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no table"),
        ("a,b\n", "is no table"),
        ("a,b,c\n1,2,x\n1,x\n", "row 2 has 2 cells, but the header has 3"),
        ("a,b\n1,x\n2,\n", "rows without a label"),
        ("a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(30)), "30 labels in 30 rows are no classes"),
        (None, "cannot be read"),
    ],
    ids=["empty", "header", "ragged", "label", "values", "missing"],
)
def test_what_is_no_table_ends_with_one_line(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "t.csv").write_text(content)
    with pytest.raises(SystemExit, match=message):
        example.main(str(tmp_path / "t.csv"))
