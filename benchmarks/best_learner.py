"""Trained agents against the best classical baseline, on the same unseen episodes of MNIST and unseen datasets.

    GPICL_DATA_DIR=... python benchmarks/best_learner.py runs/kernel runs/fast

FashionMNIST and KMNIST must be in the data folder; a missing dataset is left out and listed in the result. For each
run: seconds of training until its evaluation first reached 70 %, the accuracy over the last ten positions with its
95 % interval, and the paired difference to the best baseline and to 1-NN on each dataset.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from gpicl_agents.training.run_folder import METRICS
from gpicl_envs.errors import MissingDataError
from gpicl_envs.evaluation.evaluate import LearningCurve, evaluate_all
from gpicl_envs.evaluation.intervals import mean_interval
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.tasks.classification import TaskDistribution
from machine import write_result

BASELINES = ("kernel-ridge", "ridge", "knn", "centroid", "sgd")
DATASETS = {"MNIST": "unseen-task", "FashionMNIST": "unseen-dataset", "KMNIST": "unseen-dataset"}
SEED = 9_000_000  # no other script or test evaluates on this stream
TARGET = 0.70


def main() -> None:
    """Score, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="run folders of `gpicl train`, or any learner that make_learner takes")
    parser.add_argument("--episodes", type=int, default=4096)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    runs = {Path(run).name: run for run in options.runs}
    agents = {name: make_learner(run).to(options.device) for name, run in runs.items()}  # type: ignore[attr-defined]
    learners = [*agents.values(), *(make_learner(name) for name in BASELINES)]
    result: dict[str, Any] = {"episodes": options.episodes, "seed": SEED, "training": {}, "datasets": {}, "missing": []}
    for name, run in runs.items():
        if (Path(run) / METRICS).is_file():
            result["training"][name] = training(Path(run))
    for dataset, protocol in DATASETS.items():
        try:
            tasks = TaskDistribution(dataset, split="test", device=options.device)
        except MissingDataError as error:
            print(error)
            result["missing"].append(dataset)
            continue
        curves = evaluate_all(learners, tasks, episodes=options.episodes, seed=SEED, protocol=protocol)
        result["datasets"][dataset] = scores(dict(zip(agents, curves, strict=False)), curves[len(agents) :])
        print(json.dumps({dataset: result["datasets"][dataset]}, indent=1))
    write_result(Path(__file__), result)


def training(run: Path) -> dict[str, Any]:
    """Seconds of training, in all and until 70 % on unseen tasks (64 episodes an evaluation, so ± 3 points)."""
    lines = [json.loads(line) for line in (run / METRICS).read_text(encoding="utf-8").splitlines()]
    seconds = {line["step"]: line["seconds"] for line in lines if "seconds" in line}
    reached = [line["step"] for line in lines if line.get("unseen-task_final", 0) >= TARGET]
    ends = [line["plateau_end"] for line in lines if "plateau_end" in line]
    return {
        "steps": max(seconds),
        "seconds": max(seconds.values()),
        "seconds_to_70": seconds[min(reached)] if reached else None,
        "plateau_end": ends[0] if ends else None,
    }


def scores(agents: dict[str, LearningCurve], baselines: list[LearningCurve]) -> dict[str, Any]:
    """Accuracy in % over the last ten positions, and what each agent has over the best baseline and over 1-NN."""
    best = max(baselines, key=lambda curve: curve.final.mean)
    one_nn = next(curve for curve in baselines if curve.learner.startswith("1-nn"))
    found: dict[str, Any] = {name: interval(agent.final) for name, agent in agents.items()}
    found |= {curve.learner: interval(curve.final) for curve in baselines}
    for agent_name, agent in agents.items():
        for name, other in (("best baseline", best), ("1-NN", one_nn)):
            difference = agent.scores[:, -LAST:].mean(1) - other.scores[:, -LAST:].mean(1)
            key = f"{agent_name} minus {name} ({other.learner})"
            found[key] = interval(mean_interval(difference, agent.task_id, step=1 / LAST, bounds=(-1, 1)))
    return found


def interval(values: Any) -> list[float]:
    """[mean, low, high] in %."""
    return [round(100 * float(value), 2) for value in (values.mean, values.low, values.high)]


if __name__ == "__main__":
    main()
