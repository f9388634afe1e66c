"""Classify a table of your own without training: cross-validated, beside a random forest.

python examples/classify_your_table.py
python examples/classify_your_table.py mine.csv      (a header; the last column is the label; text is one-hot encoded)
"""

import csv
import sys

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from gpicl_agents import InContextClassifier


def main(path: str | None = None, learner: str = "pretrained:gpicl-general") -> None:
    """Print the accuracy of both on rows that they have not seen."""
    x, y, text = read_csv(path) if path else (*load_wine(return_X_y=True), [])
    print(f"{len(y)} rows, {x.shape[1]} columns, {len(np.unique(y))} classes")
    for name, classifier in {
        learner: InContextClassifier(learner),
        "random forest": RandomForestClassifier(random_state=0),
    }.items():
        encode = make_column_transformer(
            (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), text), remainder="passthrough"
        )
        scores = cross_val_score(make_pipeline(encode, classifier), x, y)
        print(f"{name}: {100 * scores.mean():.1f} % of the rows of five folds")


def read_csv(path: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return the cells (M, columns), the labels (M,), and the numbers of the columns that are no numbers."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    columns = list(zip(*rows, strict=True))
    text = [place for place, column in enumerate(columns[:-1]) if not all(map(is_number, column))]
    cells = [column if place in text else [float(cell) for cell in column] for place, column in enumerate(columns[:-1])]
    return np.array(cells, object).T, np.array(columns[-1]), text


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
