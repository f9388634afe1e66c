"""`Experiment`: a grid of trials at each scale, and the figures and findings that its records give."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from gpicl_agents.experiments.engine.findings import final_accuracies
from gpicl_agents.experiments.engine.trial import Records, Trial, TrialRecord
from gpicl_envs.errors import check_choice

NAMES = (
    *("phases", "heatmap", "state-size", "plateau", "bias", "emergence", "table1", "features"),
    *("task-diversity", "shift", "induction", "burstiness", "projection"),
)


@dataclass(frozen=True)
class Experiment:
    """One of the paper's experiments. All functions of records get those of trials that did not fail.

    Args:
        name: on the command line.
        title: of its report.
        description: what it investigates, and what the paper reports; Markdown.
        trials: `"small"` or `"paper"` → the trials of this scale, all of different names.
        draw: makes the figures: (records, folder) → names of the PNG and GIF files.
        findings: what the records show; lines of Markdown.
        result: the result of one trial in a few words; by default its final accuracies.
        table: what is best read as a table, if anything; Markdown.
    """

    name: str
    title: str
    description: str
    trials: Callable[[str], list[Trial]]
    draw: Callable[[Records, Path], list[str]]
    findings: Callable[[Records], list[str]]
    result: Callable[[TrialRecord], str]
    table: Callable[[Records], str] | None = None


def find_experiment(name: str) -> Experiment:
    """Return an experiment by name, from the module that holds it; an unknown name lists the valid ones.

    The module's docstring is the title and the description; its functions are those that `Experiment` takes.
    """
    if not name:
        raise ValueError(f"Which experiment? There are {', '.join(NAMES)}.")
    check_choice("experiment", name, NAMES)
    module = import_module(f"gpicl_agents.experiments.{name.replace('-', '_')}")
    title, _, description = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    return Experiment(
        name=name,
        title=title.removesuffix("."),
        description=description,
        trials=module.trials,
        draw=module.draw,
        findings=module.findings,
        result=getattr(module, "result", final_accuracies),
        table=getattr(module, "table", None),
    )
