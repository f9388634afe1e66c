"""`InContextClassifier` beside scikit-learn's classifiers, with default and with tuned settings, on small real tables.

    GPICL_DATA_DIR=... python benchmarks/tables.py [--learners pretrained:gpicl-general] [--tuned]

The tables are the files NAME.npz (x, y) in the folder `tabular` of the data folder. Each split has 100 training rows,
stratified, and up to 60 test rows. Tuned settings are chosen on the training rows alone, by five-fold
cross-validation. Differences are paired over splits, with t intervals over tables. Writes results/tables.json.
"""

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gpicl_agents.estimators.classifier import InContextClassifier
from machine import write_result

TRAINING_ROWS, TEST_ROWS, SPLITS = 100, 60, 5
CLASSICS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "SVC": (SVC(), {"svc__C": [0.1, 1, 10, 100], "svc__gamma": ["scale", 0.01, 0.03, 0.1, 0.3]}),
    "random forest": (
        RandomForestClassifier(200, random_state=0),
        {
            "randomforestclassifier__max_features": ["sqrt", 0.5, 1.0],
            "randomforestclassifier__min_samples_leaf": [1, 2, 4],
        },
    ),
    "logistic regression": (LogisticRegression(max_iter=2000), {"logisticregression__C": [0.01, 0.1, 1, 10]}),
    "nearest neighbours": (KNeighborsClassifier(5), {"kneighborsclassifier__n_neighbors": [1, 3, 5, 9, 15]}),
}


def main() -> None:
    """Fit, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", nargs="+", default=["pretrained:gpicl-general"])
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("GPICL_DATA_DIR", ".")) / "tabular")
    parser.add_argument(
        "--tuned", action="store_true", help="the classics with tuned settings too, which takes minutes"
    )
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    tables = {path.stem: np.load(path) for path in sorted(options.folder.glob("*.npz"))}
    if not tables:
        raise SystemExit(f"No tables in {options.folder}: give --folder, or GPICL_DATA_DIR with a folder `tabular`.")
    accuracies, seconds = {}, {}
    for name, estimator in estimators(options.learners, options.tuned).items():
        started = time.perf_counter()
        accuracies[name] = np.array([accuracy(estimator, table["x"], table["y"]) for table in tables.values()])
        seconds[name] = (time.perf_counter() - started) / accuracies[name].size
        print(f"{name:34s} {100 * accuracies[name].mean():5.2f} %  {seconds[name]:.2f} s a split", flush=True)
    result = {
        name: {
            "accuracy": round(100 * float(values.mean()), 2),
            "seconds": round(seconds[name], 3),
            "tables": dict(zip(tables, (100 * values.mean(1)).round(1).tolist(), strict=True)),
            "first learner minus it": difference(accuracies[next(iter(accuracies))], values),
        }
        for name, values in accuracies.items()
    }
    write_result(Path(__file__), {"rows": TRAINING_ROWS, "splits": SPLITS, "estimators": result})


def estimators(learners: list[str], tuned: bool) -> dict[str, Any]:
    """Ours, then the classics as they come, then, if asked, tuned."""
    found: dict[str, Any] = {learner: InContextClassifier(learner) for learner in learners}
    scaled = {name: make_pipeline(StandardScaler(), classic) for name, (classic, _) in CLASSICS.items()}
    found |= scaled
    if tuned:
        found |= {f"{name}, tuned": GridSearchCV(scaled[name], grid, n_jobs=-1) for name, (_, grid) in CLASSICS.items()}
    return found


def accuracy(estimator: Any, x: Any, y: Any) -> list[float]:
    """Accuracy of each split of one table."""
    found = []
    for seed in range(SPLITS):
        test = min(TEST_ROWS, len(y) - TRAINING_ROWS)
        splitter = StratifiedShuffleSplit(1, train_size=TRAINING_ROWS, test_size=test, random_state=seed)
        train_rows, test_rows = next(splitter.split(x, y))
        found.append(clone(estimator).fit(x[train_rows], y[train_rows]).score(x[test_rows], y[test_rows]))
    return found


def difference(ours: Any, others: Any) -> list[float]:
    """Mean paired difference in points, with its 95 % interval over tables."""
    of_table = 100 * (ours - others).mean(1)
    half = t.ppf(0.975, len(of_table) - 1) * of_table.std(ddof=1) / len(of_table) ** 0.5
    return [round(float(of_table.mean() + step), 2) for step in (0.0, -half, half)]


if __name__ == "__main__":
    main()
