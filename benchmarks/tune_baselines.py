"""Choose the baselines' defaults: a grid for each, scored on meta-training tasks only (MNIST, train split).

Accuracy over the last ten positions chooses what changes predictions; the likelihood over all positions chooses the
sharpness, which does not. Writes benchmarks/results/tune_baselines.json.

    python benchmarks/tune_baselines.py
"""

from itertools import product
from pathlib import Path

from gpicl_envs import TaskDistribution, make_learner
from gpicl_envs.evaluation import evaluate_all
from machine import write_result

GRIDS: dict[str, dict[str, list[object]]] = {
    "knn": {"k": [1, 3, 5], "metric": ["cosine", "euclidean"]},
    "centroid": {"sharpness": [4.0, 6.0, 8.0]},
    "ridge": {"regularization": [0.3, 0.6, 1.0, 2.0], "sharpness": [6.0, 8.0, 12.0]},
    "kernel-ridge": {"gamma": [0.7, 1.0, 1.5], "regularization": [0.003, 0.01, 0.03], "sharpness": [8.0, 12.0, 16.0]},
    "sgd": {"learning_rate": [1.0, 2.0, 4.0, 8.0, 16.0]},
}


def main() -> None:
    """Score every grid point on the same 512 meta-training episodes."""
    tasks = TaskDistribution("MNIST", split="train")
    rows = []
    for name, grid in GRIDS.items():
        points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        curves = evaluate_all(
            [make_learner(name, **point) for point in points], tasks, episodes=512, seed=99, split="seen"
        )
        scored = [
            {
                "learner": name,
                **point,
                "final": round(float(curve.final.mean), 4),
                "nll": round(float(curve.nll.mean()), 4),
            }
            for point, curve in zip(points, curves, strict=True)
        ]
        rows += sorted(scored, key=lambda row: (-float(str(row["final"])), float(str(row["nll"]))))
        print(*rows[-len(scored) :][:6], sep="\n")
    write_result(Path(__file__), {"episodes": 512, "rows": rows})


if __name__ == "__main__":
    main()
