"""Make the pretrained learners of functions: train, score on the suite gpicl-regression, export with a model card.

    python benchmarks/pretrain_functions.py                          # on a GPU: trains in runs/pretrain
    python benchmarks/pretrain_functions.py --runs FOLDER            # resumes or uses existing runs, FOLDER/NAME
    python benchmarks/pretrain_functions.py --options "--device cpu --precision float32 --batch-size 64"  # on a CPU

A run is `gpicl train OPTIONS` with seed 0. The scores are on the suite's cells, with D of the learner.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from best_learner import training
from gpicl_agents.pretrained import export, load_pretrained
from gpicl_agents.sharing.model_card import model_card
from gpicl_envs.evaluation.evaluate import evaluate_all
from gpicl_envs.learners.registry import make_learner
from gpicl_envs.suites.definitions import find_suite
from gpicl_envs.tasks import make_tasks
from machine import describe_machine
from pretrain import Recipe, train

MODEL = "--learner-kwargs width=96 n_layers=5 mlp_width=192"  # 1.5 MB of weights
ON_GPU = "--batch-size 512 --steps 100000 --evaluate-every 1000 --evaluate-episodes 256 --device cuda --precision bf16"
ABOUT = (
    "A gated DeltaNet that has learned to regress linear functions in context (Garg et al. 2022): a black box, whose "
    "memory does not grow with the episode."
)
RECIPES = {
    "gpicl-linear": Recipe(
        f"regression {MODEL} --env-kwargs n_features=20 length=41 {ON_GPU} --max-seconds 300", "one GPU", ABOUT
    ),
    "gpicl-linear-noisy": Recipe(
        f"regression {MODEL} --env-kwargs n_features=8 length=17 noise=0.5 {ON_GPU} --max-seconds 120", "one GPU", ABOUT
    ),
}
BASELINES = ("least-squares", "ridge", "kernel-ridge", "knn", "majority")
HEADS = ("squared error, last example", "distance to least-squares")


def main() -> None:
    """Train what is not finished, score, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/pretrain"))
    parser.add_argument("--names", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--options", default="", help="further options of `gpicl train`, which replace the recipe's")
    parser.add_argument("--machine", default="", help="where it trains, for the card")
    parser.add_argument("--episodes", type=int, help="of each score; the suite's number by default")
    options = parser.parse_args()
    for name in options.names:
        recipe, run = RECIPES[name], options.runs / name
        recipe = replace(recipe, options=f"{recipe.options} {options.options}".strip())
        recipe = replace(recipe, machine=options.machine or recipe.machine)
        train(recipe, run)
        export(run, name, recipe.about)
        learner = load_pretrained(name)
        print(export(run, name, card(name, recipe, learner, scores(learner, options.episodes), training(run))))


def scores(learner: Any, episodes: int | None) -> dict[str, dict[str, list[str]]]:
    """Cell of the suite → learner → its error and distance in units of the variance of the values."""
    found = {}
    for cell in find_suite("gpicl-regression").cells:
        tasks = make_tasks(**cell.arguments | {"n_features": learner.n_features})
        learners = [learner, *(make_learner(name, tasks=tasks) for name in BASELINES)]
        number = episodes or cell.episodes
        curves = evaluate_all(learners, tasks, episodes=number, seed=cell.seed, final_positions=1, batch_size=64)
        scale = tasks.target_variance
        rows = {}
        for curve in curves:
            mean, low, high = (float(value) / scale for value in curve.final)
            distance = float(curve.distances["least-squares"].mean()) / scale
            rows[curve.learner] = [f"{mean:.3f} [{low:.3f}, {high:.3f}]", f"{distance:.3f}"]
        found[f"{cell.name}, N = {cell.length}, {number:,} episodes"] = rows
    return found


def card(name: str, recipe: Recipe, learner: Any, found: dict[str, Any], cost: dict[str, Any]) -> str:
    """The model card, in Markdown; every number in it was measured by this script or logged in the run."""
    options = f"`gpicl train {recipe.options}`, seed 0, {cost['steps']:,} steps"
    facts = (
        ("Meta-trained on", "one-off linear functions of `GPICL-LinearRegression-v0`. Nothing else."),
        ("Recipe", f"{options}; `benchmarks/pretrain_functions.py`."),
        ("Cost", f"{cost['seconds'] / 60:.1f} minutes on {recipe.machine} ({describe_machine()['date']})."),
        ("Licence", "as the package; no data were used."),
    )
    lines = [
        "\nIn units of the variance of the functions' values, so that predicting 0 has an error of 1 [95 % interval]; "
        "the distance is the mean squared one between predictions, over all positions. Unseen functions, without "
        "noise, the same for all learners:"
    ]
    for cell, rows in found.items():
        lines += [f"\n| {cell} | {' | '.join(HEADS)} |", "|---|--:|--:|"]
        lines += [f"| {row} | {' | '.join(values)} |" for row, values in rows.items()]
    lines.append("\nSparse functions, networks and trees were never seen in meta-training.")
    return model_card(name, recipe.about, learner, facts, lines)


if __name__ == "__main__":
    main()
