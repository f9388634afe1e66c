"""Make the pretrained learners of the package: train, score against the baselines, export with a model card.

    GPICL_DATA_DIR=... python benchmarks/pretrain.py                    # trains in runs/pretrain, about 25 minutes each
    GPICL_DATA_DIR=... python benchmarks/pretrain.py --runs FOLDER      # resumes or uses existing runs

A run is `gpicl train PRESET --steps STEPS` with seed 0; the scores are those of `best_learner.py`.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gpicl_envs
from best_learner import DATASETS, SEED, scores, training
from gpicl_agents.pretrained import export
from gpicl_agents.training.presets import find_preset
from gpicl_agents.training.run_setup import set_up
from gpicl_agents.training.supervised import train
from gpicl_envs.evaluation.evaluate import evaluate_all
from machine import describe_machine


@dataclass(frozen=True)
class Recipe:
    """A pretrained learner: its preset, the number of steps, and the first paragraph of its card."""

    preset: str
    steps: int
    about: str


RECIPES = {
    "gpicl-small": Recipe(
        "fast",
        4500,
        "A black-box Transformer: no notion of similarity is built in. It is an ensemble of eight projections.",
    ),
    "gpicl-small-kernel": Recipe(
        "kernel",
        5000,
        "A Transformer that reads causal kernel ridge regressions: stronger, not a black box (`transformer+kernel`).",
    ),
}
BASELINES = ("kernel-ridge", "ridge", "knn", "centroid")


def main() -> None:
    """Train what is not finished, score, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/pretrain"))
    parser.add_argument("--episodes", type=int, default=1024)
    parser.add_argument("--names", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    options = parser.parse_args()
    for name in options.names:
        recipe = RECIPES[name]
        run = options.runs / recipe.preset
        learner = trained(recipe, run)
        learners = [learner, *(gpicl_envs.make_learner(baseline) for baseline in BASELINES)]
        found: dict[str, Any] = {}
        for dataset, protocol in DATASETS.items():
            tasks = gpicl_envs.TaskDistribution(dataset, split="test")
            curves = evaluate_all(learners, tasks, episodes=options.episodes, seed=SEED, protocol=protocol)
            found[dataset] = scores({learner.name: curves[0]}, curves[1:])
        print(export(run, name, card(name, recipe, learner, found, training(run), options.episodes)))


def trained(recipe: Recipe, run: Path) -> Any:
    """Return the learner of the recipe, trained to its last step."""
    preset = find_preset(recipe.preset)
    learner, venv = set_up(preset.spec, batch_size=preset.batch_size)
    train(learner, venv, replace(preset.config, steps=recipe.steps), folder=run, resume=True)
    return learner


def card(name: str, recipe: Recipe, learner: Any, found: dict[str, Any], cost: dict[str, Any], episodes: int) -> str:
    """The model card, in Markdown; every number in it was measured by this script or logged in the run."""
    machine = describe_machine()
    lines = [
        f"# {name}",
        recipe.about + "\n",
        f"- Learner: `{learner.name}`, {learner.n_parameters:,} meta-trained parameters, D = 784, K = 10.",
        "- Meta-trained on: one-off tasks of `GPICL-MNIST-v0` (training images of MNIST, random projections, permuted "
        "labels, N = 100). Nothing else.",
        f"- Recipe: `gpicl train {recipe.preset} --steps {recipe.steps}`, seed 0; `benchmarks/pretrain.py`.",
        f"- Cost: {cost['seconds'] / 60:.0f} minutes on at most two cores of {machine['processor']}; no GPU "
        f"({machine['date']}).",
        "- Licence: as the package; the weights learned from MNIST (see NOTICE).",
        f"\nAccuracy in % over the last ten of 100 examples [95 % interval], {episodes:,} episodes of test images, the "
        "same for all:\n",
        "| | " + " | ".join(found) + " |",
        "|---|" + "--:|" * len(found),
    ]
    for row in next(iter(found.values())):
        if "minus" not in row:
            lines.append(f"| {row} | " + " | ".join(cell(values[row]) for values in found.values()) + " |")
    for against in ("best baseline", "1-NN"):
        differences = [next(v for k, v in values.items() if f"minus {against}" in k) for values in found.values()]
        lines.append(f"| {name} minus {against} | " + " | ".join(map(cell, differences)) + " |")
    lines.append("\nMNIST: unseen tasks, unseen images. The others: datasets never seen in meta-training.")
    return "\n".join(lines)


def cell(values: list[float]) -> str:
    """Mean [low, high]."""
    mean, low, high = values
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
