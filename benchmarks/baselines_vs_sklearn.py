"""Our batched baselines against scikit-learn's, refitted at every position of the same episodes.

    python benchmarks/baselines_vs_sklearn.py

Seconds for each episode of N = 100 examples of D = 784, in one run on the same threads. scikit-learn gets two episodes,
ours a batch of 64, after a smaller one to warm up; scikit-learn's predict from the eleventh position on.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import LabelBinarizer
from sklearn.semi_supervised import LabelSpreading

from gpicl_baselines.classical.causal import unit
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from machine import write_result

EPISODES, THEIRS = 64, 2


def kernel_ridge(x: Any, y: Any, query: Any) -> None:
    """RBF kernel ridge on one-hot labels; scikit-learn has it as a regression."""
    KernelRidge(kernel="rbf", gamma=1.5 / 784, alpha=0.003).fit(x, LabelBinarizer().fit_transform(y)).predict(query)


def spreading(x: Any, y: Any, query: Any) -> None:
    """Label spreading over the examples and the query."""
    import numpy as np

    LabelSpreading(kernel="rbf", gamma=10.0 / 784, alpha=0.5).fit(np.vstack([x, query]), np.append(y, -1))


def fitted(model: Any) -> Callable[[Any, Any, Any], None]:
    """A classifier as a function of examples and query."""
    return lambda x, y, query: model.fit(x, y).predict(query)


PAIRS: dict[str, Callable[[Any, Any, Any], None]] = {
    "knn": fitted(KNeighborsClassifier(1, metric="cosine")),
    "centroid": fitted(NearestCentroid()),
    "ridge": fitted(RidgeClassifier()),
    "kernel-ridge": kernel_ridge,
    "naive-bayes": fitted(GaussianNB()),
    "lda": fitted(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)),
    "logistic": fitted(LogisticRegression(C=100.0, fit_intercept=False, max_iter=200)),
    "label-propagation": spreading,
}


def main() -> None:
    """Time both sides of every pair."""
    warnings.simplefilter("ignore")
    tasks = TaskDistribution("MNIST", split="test")
    episodes = tasks.sample(EPISODES)
    inputs, labels = unit(episodes.x[:THEIRS]).numpy(), episodes.y[:THEIRS].numpy()
    rows = {}
    for name, theirs in PAIRS.items():
        learner = make_learner(name)
        learner.predict(episodes.x[:8], episodes.y[:8])
        start = time.perf_counter()
        learner.predict(episodes.x, episodes.y)
        ours = (time.perf_counter() - start) / EPISODES
        start = time.perf_counter()
        for x, y in zip(inputs, labels, strict=True):
            for n in range(10, len(y)):
                theirs(x[:n], y[:n], x[n : n + 1])
        sklearn = (time.perf_counter() - start) / THEIRS
        rows[name] = {"ours_s": round(ours, 6), "sklearn_s": round(sklearn, 4), "ratio": round(sklearn / ours, 1)}
        print(name, rows[name], flush=True)
    write_result(Path(__file__), {"threads": torch.get_num_threads(), "learners": rows})


if __name__ == "__main__":
    main()
