"""Make the pretrained learners of the package: train, score against the baselines, export with a model card.

    GPICL_DATA_DIR=... python benchmarks/pretrain.py                    # trains in runs/pretrain, about 25 minutes each
    GPICL_DATA_DIR=... python benchmarks/pretrain.py --runs FOLDER      # resumes or uses existing runs, FOLDER/NAME

A run is `gpicl train OPTIONS` with seed 0; the scores are those of `best_learner.py`.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpicl_envs
from best_learner import DATASETS, SEED, scores, training
from gpicl_agents.pretrained import export, load_pretrained
from gpicl_agents.sharing.model_card import model_card
from gpicl_envs.evaluation.evaluate import evaluate_all
from machine import describe_machine


@dataclass(frozen=True)
class Recipe:
    """A pretrained learner: the options of `gpicl train`, where it ran, and what its card says of it and its data."""

    options: str
    machine: str
    about: str
    data: str = (
        "one-off tasks of `GPICL-MNIST-v0` (training images of MNIST, random projections, permuted labels, N = 100). "
        "Nothing else."
    )


TWO_CORES = "at most two cores of AMD EPYC; no GPU"
RECIPES = {
    "gpicl-small": Recipe(
        "fast --learner-kwargs width=256 n_layers=2 n_heads=4 mlp_width=512 input_rank=96 n_projections=8 "
        "--warmup-steps 100 --steps 4500",
        TWO_CORES,
        "A black-box Transformer: no notion of similarity is built in. It is an ensemble of eight projections.",
    ),
    "gpicl-medium": Recipe(
        "fast --learner-kwargs width=384 n_layers=3 n_heads=4 mlp_width=768 input_rank=96 n_projections=8 "
        "--batch-size 256 --learning-rate 2e-3 --warmup-steps 300 --steps 100000 --max-seconds 110 "
        "--evaluate-every 500 --evaluate-episodes 256 --device cuda --precision bf16 --compile-mode reduce-overhead",
        "one NVIDIA H100 (`benchmarks/gpu.sh OUT best`)",
        "A black-box Transformer: no notion of similarity is built in. It is an ensemble of eight projections, and has "
        "seen about forty times as many tasks as `gpicl-small`.",
    ),
    "gpicl-small-kernel": Recipe(
        "kernel --steps 5000",
        TWO_CORES,
        "A Transformer that reads causal kernel ridge regressions: stronger, not a black box (`transformer+kernel`).",
    ),
    "gpicl-experts": Recipe(
        "kernel --learner expert-transformer --learner-kwargs width=192 n_layers=3 mlp_width=512 --batch-size 256 "
        "--learning-rate 3e-3 --warmup-steps 200 --steps 100000 --max-seconds 225 --evaluate-every 1000 "
        "--evaluate-episodes 256 --checkpoint-every 1000 --device cuda --precision bf16",
        "one NVIDIA H200, shared with the tests",
        "A Transformer that reads and corrects a mixture of kernel ridge regressions, label propagation and linear "
        "discriminant analysis, weighted by how well each has predicted so far (`transformer+kernels+experts`): the "
        "strongest learner here on images, not a black box, and slower than the others.",
    ),
    "gpicl-general": Recipe(
        "fast --learner multi-kernel-transformer --learner-kwargs width=192 n_layers=3 mlp_width=512 --env "
        "GPICL-GeneralMixture-v0 --env-kwargs length=128 --batch-size 384 --learning-rate 2e-3 --warmup-steps 200 "
        "--steps 100000 --max-seconds 385 --evaluate-every 1000 --evaluate-episodes 256 --checkpoint-every 1000 "
        "--device cuda --precision bf16",
        "one NVIDIA H200, shared with two smaller trainings",
        "For data of any kind, small tables too: a Transformer that reads and corrects a mixture of kernel ridge "
        "regressions of three families, weighted by how well each has predicted so far (`transformer+kernels`). It is "
        "the default of `InContextClassifier`; the suite `gpicl-tables-v1` has its scores on tables.",
        "the mixture `GPICL-GeneralMixture-v0` (MNIST and Digits with 2 to 10 classes, 40 %; synthetic tables, 60 %), "
        "N = 128.",
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
        recipe, run = RECIPES[name], options.runs / name
        train(recipe, run)
        export(run, name, recipe.about)
        learner = load_pretrained(name)  # scored as it is shipped, perhaps in half precision
        learners = [learner, *(gpicl_envs.make_learner(baseline) for baseline in BASELINES)]
        found: dict[str, Any] = {}
        for dataset, protocol in DATASETS.items():
            tasks = gpicl_envs.TaskDistribution(dataset, split="test")
            curves = evaluate_all(learners, tasks, episodes=options.episodes, seed=SEED, protocol=protocol)
            found[dataset] = scores({learner.name: curves[0]}, curves[1:])
        print(export(run, name, card(name, recipe, learner, found, training(run), options.episodes)))


def train(recipe: Recipe, run: Path) -> None:
    """Train in this folder, or resume what it holds; a run that is finished ends at once."""
    command = [sys.executable, "-m", "gpicl_envs.cli", "train", *recipe.options.split(), "--out", str(run), "--resume"]
    subprocess.run(command, check=True)


def card(name: str, recipe: Recipe, learner: Any, found: dict[str, Any], cost: dict[str, Any], episodes: int) -> str:
    """The model card, in Markdown; every number in it was measured by this script or logged in the run."""
    facts = (
        ("Meta-trained on", recipe.data),
        ("Recipe", f"`gpicl train {recipe.options}`, seed 0, {cost['steps']:,} steps; `benchmarks/pretrain.py`."),
        ("Cost", f"{cost['seconds'] / 60:.1f} minutes on {recipe.machine} ({describe_machine()['date']})."),
        ("Licence", "as the package; the weights learned from MNIST (see NOTICE)."),
    )
    lines = [
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
    return model_card(name, recipe.about, learner, facts, lines)


def cell(values: list[float]) -> str:
    """Mean [low, high]."""
    mean, low, high = values
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
