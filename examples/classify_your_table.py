"""Classify a table of your own without training: cross-validated, beside a random forest.

python examples/classify_your_table.py
python examples/classify_your_table.py mine.csv      (a header; the last column is the label)

Text is one-hot encoded; a number that is missing becomes the column's median.
"""

import csv
import sys

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from gpicl_agents import InContextClassifier

MISSING = ("", "?", "na", "n/a", "nan", "null")  # what may stand in a cell that is not known, in any case


def main(path: str | None = None, learner: str = "pretrained:gpicl-general") -> None:
    """Print the accuracy of both on rows that they have not seen."""
    x, y, text = read_csv(path) if path else (*load_wine(return_X_y=True), [])
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) > len(y) / 2 or counts.max() < 5:
        sys.exit(f"{len(labels)} labels in {len(y)} rows are no classes: for values, take InContextRegressor.")
    print(f"{len(y)} rows, {x.shape[1]} columns, {len(labels)} classes")
    numbers = [place for place in range(x.shape[1]) if place not in text]
    for name, classifier in {
        learner: InContextClassifier(learner),
        "random forest": RandomForestClassifier(random_state=0),
    }.items():
        prepare = make_column_transformer(
            (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), text),
            (SimpleImputer(strategy="median"), numbers),
        )
        scores = cross_val_score(make_pipeline(prepare, classifier), x, y)
        print(f"{name}: {100 * scores.mean():.1f} % of the rows of five folds")


def read_csv(path: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return the cells (M, columns), the labels (M,), and the numbers of the columns that are no numbers."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"{path} cannot be read: {error}")
    separator = max(",;\t", key=lines[0].count) if lines else ","
    header, *rows = [row for row in csv.reader(lines, delimiter=separator) if any(row)] or [[]]
    if len(header) < 2 or not rows:
        sys.exit(f"{path} is no table: it needs a header, rows, a column and a label, separated by , or ; or tabs.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            sys.exit(f"{path}, row {number} has {len(row)} cells, but the header has {len(header)}.")
    *columns, labels = ([cell.strip() for cell in column] for column in zip(*rows, strict=True))
    if any(map(is_missing, labels)):
        sys.exit(f"{path} has rows without a label, which is in the last column: remove them.")
    text = [place for place, column in enumerate(columns) if not all(map(is_number, column))]
    cells = [column if place in text else list(map(number_of, column)) for place, column in enumerate(columns)]
    return np.array(cells, object).T, np.array(labels), text


def is_missing(cell: str) -> bool:
    """Whether a cell says that it holds nothing."""
    return cell.lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, or nothing."""
    try:
        number_of(cell)
    except ValueError:
        return False
    return True


def number_of(cell: str) -> float:
    """Return the number in a cell, NaN if it holds nothing."""
    return float("nan") if is_missing(cell) else float(cell)


if __name__ == "__main__":
    main(*sys.argv[1:])
