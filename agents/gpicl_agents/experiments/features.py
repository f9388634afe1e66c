"""Features: raw pixels against the features of a frozen ImageNet network, meta-trained on MNIST, asked CIFAR10.

Whatever the inputs, they come under a random projection to the same D, and the learner is the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.diagnosis import UNSEEN
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.experiment import Experiment, Record
from gpicl_agents.experiments.engine.plots import finals, keep, percent
from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.report.figures import DASHES, PALETTE, panels

NETWORK = "efficientnet-lite0"
IMAGE_SIZE = {"small": 64, "paper": 224}  # pixels a side at which the network sees the images; trained at 224
INPUTS = (NETWORK, "pixels")
DATASETS = ("CIFAR10", settings.CIFAR10_COPY)
BASELINES = ("knn", "ridge")


def _trial(inputs: str, learner: str, seed: int, scale: str) -> Trial:
    setting = settings.SETTINGS[scale]
    trained = learner == "transformer"
    shown: dict[str, Any] = {"image_size": None}
    if inputs == NETWORK:
        shown = {"features": NETWORK, "image_size": IMAGE_SIZE[scale]}
    return Trial(
        axes={"inputs": inputs, "learner": learner} | ({"seed": seed} if trained else {}),
        learner=learner,
        arguments=setting.transformer | {"seed": seed} if trained else {},
        tasks=setting.tasks | shown,
        training=setting.training | {"seed": seed} if trained else None,
        batch_size=setting.batch_size,
        questions=(settings.unseen(), *(settings.unseen_dataset(name) for name in DATASETS)),
    )


def _trials(scale: str, seeds: int) -> list[Trial]:
    found = [_trial(inputs, "transformer", seed, scale) for inputs in INPUTS for seed in range(seeds)]
    return found + [_trial(inputs, learner, 0, scale) for inputs in INPUTS for learner in BASELINES]


def draw(records: Sequence[Record], folder: Path) -> list[str]:
    """Learning curves with intervals, one panel a dataset; colours are inputs, and dashes are learners."""
    asked = [name for name in (UNSEEN, *DATASETS) if any(name in record["answers"] for record in records)]
    figure, grid = panels(len(asked))
    styles = ("transformer", *BASELINES)
    for axes, name in zip(grid, asked, strict=True):
        for record in records:
            if name not in record["answers"]:
                continue
            mean, low, high = (100 * np.array(values) for values in record["answers"][name]["accuracy"])
            inputs, learner = record["axes"]["inputs"], record["axes"]["learner"]
            style = {"color": PALETTE[INPUTS.index(inputs)], "linestyle": DASHES[styles.index(learner)]}
            positions = np.arange(1, len(mean) + 1)
            axes.plot(positions, mean, linewidth=1.2, label=f"{learner} on {inputs}", **style)
            axes.fill_between(positions, low, high, color=style["color"], alpha=0.12, linewidth=0)
        title = "MNIST, unseen tasks" if name == UNSEEN else name
        axes.set(title=title, xlabel="example", ylabel="accuracy (%), 95 % interval", ylim=(0, 100))
    return keep(figure, folder, "features")


def findings(records: Sequence[Record]) -> list[str]:
    """For each dataset, the accuracy over the last ten positions of each learner on each kind of input."""
    lines = []
    for name in (UNSEEN, *DATASETS):
        told = [
            f"{record['axes']['learner']} on {record['axes']['inputs']} {percent(record['answers'][name]['final'])}"
            for record in records
            if name in record["answers"]
        ]
        if told:
            lines.append(f"{name}, accuracy over the last {LAST} of 100, a value a seed: {', '.join(told)}.")
    return lines


def line(record: Record) -> str:
    """Accuracy over the last ten positions, by dataset."""
    return finals(record, decimals=1)


EXPERIMENT = Experiment(
    name="features",
    title="Raw pixels against frozen ImageNet features",
    question=(
        "A learner that was meta-trained on MNIST is asked CIFAR10. How much better does it learn from the features of "
        "a frozen ImageNet network than from pixels? A review of the paper tells of about 45 % after 100 examples. "
        "The network sees the images at 64 pixels a side at small scale, at 224 at the paper's. "
        f"{settings.CIFAR10_COPY} is a lossy copy (JPEG, quality 75) of 7,000 images, for where CIFAR10 itself cannot "
        "be had: put it into the data folder under that name."
    ),
    scales={"small": lambda: _trials("small", 2), "paper": lambda: _trials("paper", 3)},
    draw=draw,
    findings=findings,
    line=line,
)
