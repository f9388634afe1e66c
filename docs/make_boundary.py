"""Make docs/images/decision-boundary.png: what classifiers make of two columns, without and with overlap.

python docs/make_boundary.py; python docs/make_boundary.py --learner kernel-ridge
"""

from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from gpicl_agents import InContextClassifier
from gpicl_envs.rendering.image import BLUE, GREEN, RED

COLOURS = np.array([[int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in (BLUE, RED, GREEN)])
Data = tuple[NDArray[np.float64], NDArray[np.int64]]


def main(
    learner: str = InContextClassifier.default_learner,
    rows: int = 60,
    grid: int = 80,
    out: Path = Path(__file__).parent / "images" / "decision-boundary.png",
) -> None:
    """Write the picture: a row for each table, a column for each classifier.

    Args:
        learner: of `InContextClassifier`.
        rows: labelled rows in each table, and as many to score.
        grid: points along each side of a panel.
        out: the file.
    """
    classifiers: dict[str, Any] = {
        f"InContextClassifier\n{learner}": InContextClassifier(learner),
        "SVC": SVC(),
        "random forest": RandomForestClassifier(random_state=0),
        "5 nearest neighbours": KNeighborsClassifier(5),
    }
    tables = make_tables(2 * rows)
    figure = Figure(figsize=(2.4 * len(classifiers), 2.4 * len(tables)), layout="constrained")
    panels = figure.subplots(len(tables), len(classifiers))
    for panel, name in zip(panels[0], classifiers, strict=True):
        panel.set_title(name, fontsize=9)
    for row, (x, y) in zip(panels, tables, strict=True):
        for panel, classifier in zip(row, classifiers.values(), strict=True):
            classifier.fit(x[:rows], y[:rows])
            draw(panel, classifier, x[:rows], y[:rows], grid)
            panel.set_xlabel(f"{100 * classifier.score(x[rows:], y[rows:]):.0f} % of other rows", fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    print(out)


def make_tables(rows: int) -> list[Data]:
    """Return two moons, two circles and three blobs, each with columns of mean 0 and variance 1."""
    made = (
        make_moons(rows, noise=0.25, random_state=0),
        make_circles(rows, noise=0.15, factor=0.5, random_state=0),
        make_blobs(rows, centers=3, cluster_std=2.0, random_state=4),
    )
    return [((x - x.mean(0)) / x.std(0), y) for x, y in made]


def draw(panel: Axes, classifier: Any, x: NDArray[np.float64], y: NDArray[np.int64], grid: int) -> None:
    """Colour the plane by the most likely class, paler where another is nearly as likely, and mark the rows."""
    side = np.linspace(-2.6, 2.6, grid)
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    if hasattr(classifier, "predict_proba"):
        weight = classifier.predict_proba(points)
    else:
        weight = np.eye(len(classifier.classes_))[classifier.predict(points)]
    colours = 0.6 + 0.4 * weight @ COLOURS[: weight.shape[1]]
    panel.imshow(
        colours.reshape(grid, grid, 3), extent=(-2.6, 2.6, -2.6, 2.6), origin="lower", interpolation="bilinear"
    )
    panel.scatter(x[:, 0], x[:, 1], c=COLOURS[y], s=12, edgecolors="white", linewidths=0.4)
    panel.set(xticks=[], yticks=[])


if __name__ == "__main__":
    tyro.cli(main)
