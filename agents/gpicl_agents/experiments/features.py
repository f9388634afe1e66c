"""Raw pixels against frozen ImageNet features.

How much better does a learner that was meta-trained on MNIST learn CIFAR10 from the features of a frozen ImageNet
network than from pixels? A review of the paper reports about 45 % after 100 examples. Both kinds of inputs are randomly
projected to the same D. The network sees images of 64 pixels per side at small scale, and of 224 at paper scale.
CIFAR10-jpeg75 is a lossy copy (JPEG, quality 75) of 7,000 images, for machines without CIFAR10; it is used if the data
folder has a dataset of that name.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gpicl_agents.evaluations import unseen_dataset, unseen_tasks
from gpicl_agents.experiments.engine import settings
from gpicl_agents.experiments.engine.findings import final_accuracies, percent
from gpicl_agents.experiments.engine.plots import save_figure
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.protocol import UNSEEN_TASK
from gpicl_envs.report.figures import DASHES, PALETTE, panels

NETWORK = "efficientnet-lite0"
IMAGE_SIZE = {"small": 64, "paper": 224}  # pixels per side of the network's input; it was trained at 224
INPUTS = (NETWORK, "pixels")
DATASETS = ("CIFAR10", settings.CIFAR10_COPY)
BASELINES = ("knn", "ridge")


def trials(scale: str) -> list[Trial]:
    """The Transformer with every seed, then the baselines, on both kinds of inputs."""
    setting, evaluations = settings.SETTINGS[scale], (unseen_tasks(), *map(unseen_dataset, DATASETS))
    env_kwargs: dict[str, dict[str, Any]] = {
        NETWORK: {"features": NETWORK, "image_size": IMAGE_SIZE[scale]},
        "pixels": {"image_size": None},
    }
    found = [
        setting.trial(
            {"inputs": inputs, "learner": "transformer", "seed": seed}, evaluations, env_kwargs=env_kwargs[inputs]
        )
        for inputs in INPUTS
        for seed in range(settings.SEEDS[scale])
    ]
    for inputs in INPUTS:
        for learner in BASELINES:
            axes, shown = {"inputs": inputs, "learner": learner}, setting.env_kwargs | env_kwargs[inputs]
            found.append(Trial(axes, learner, {}, shown, None, setting.batch_size, evaluations))
    return found


def draw(records: Records, folder: Path) -> list[str]:
    """Learning curves with intervals, a panel for each dataset; colours are inputs, and dashes are learners."""
    evaluated = [name for name in (UNSEEN_TASK, *DATASETS) if any(name in record.results for record in records)]
    figure, grid = panels(len(evaluated))
    learners = ("transformer", *BASELINES)
    for axes, name in zip(grid, evaluated, strict=True):
        for record in records:
            if name not in record.results:
                continue
            mean, low, high = (100 * np.array(values) for values in record.results[name].accuracy)
            inputs, learner = record.axes["inputs"], record.axes["learner"]
            colour, dash = PALETTE[INPUTS.index(inputs)], DASHES[learners.index(learner)]
            positions = np.arange(1, len(mean) + 1)
            axes.plot(positions, mean, color=colour, linestyle=dash, linewidth=1.2, label=f"{learner} on {inputs}")
            axes.fill_between(positions, low, high, color=colour, alpha=0.12, linewidth=0)
        title = "MNIST, unseen tasks" if name == UNSEEN_TASK else name
        axes.set(title=title, xlabel="example", ylabel="accuracy (%), 95 % interval", ylim=(0, 100))
    return [save_figure(figure, folder, "features")]


def findings(records: Records) -> list[str]:
    """For each dataset, the accuracy over the last ten positions of each learner on each kind of inputs."""
    lines = []
    for name in (UNSEEN_TASK, *DATASETS):
        finals = [
            f"{record.axes['learner']} on {record.axes['inputs']} {percent(record.results[name].final)}"
            for record in records
            if name in record.results
        ]
        if finals:
            lines.append(f"{name}, accuracy over the last {LAST} of 100 examples, per seed: {', '.join(finals)}.")
    return lines


def result(record: TrialRecord) -> str:
    """Accuracy over the last ten positions, by evaluation."""
    return final_accuracies(record, decimals=1)
