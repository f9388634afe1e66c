"""`Experiment`: a declarative grid of trials at each scale, and what becomes of its records: figures and findings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gpicl_agents.experiments.engine.trial import Trial
from gpicl_envs.errors import UnknownNameError

Record = dict[str, Any]
NAMES = ("phases", "heatmap", "state-size", "plateau", "bias", "emergence", "table1", "features")


@dataclass(frozen=True)
class Experiment:
    """One of the paper's experiments.

    Args:
        name: on the command line.
        title: of its report.
        question: what it asks, and what the paper says; Markdown.
        scales: name → its trials.
        draw: makes the figures from the records of the trials that did not fail: (records, folder) → file names.
        findings: says what the records show: Markdown lines.
        line: one trial's result in a few words.
        table: what is best read as a table; Markdown.
    """

    name: str
    title: str
    question: str
    scales: Mapping[str, Callable[[], list[Trial]]]
    draw: Callable[[Sequence[Record], Path], list[str]]
    findings: Callable[[Sequence[Record]], list[str]]
    line: Callable[[Record], str]
    table: Callable[[Sequence[Record]], str] | None = None

    def trials(self, scale: str) -> list[Trial]:
        """Return the trials of a scale, whose names are unique."""
        if scale not in self.scales:
            raise UnknownNameError(f"scale of {self.name}", scale, self.scales)
        return self.scales[scale]()


def find_experiment(name: str) -> Experiment:
    """Return an experiment by name; an unknown name lists the valid ones."""
    if name not in NAMES:
        raise UnknownNameError("experiment", name, NAMES)
    found: Experiment = import_module(f"gpicl_agents.experiments.{name.replace('-', '_')}").EXPERIMENT
    return found
