"""Frozen benchmark definitions: on which episodes learners are evaluated.

A suite never changes: another size, seed or dataset is another suite, with another name. Every record has the hash of
its cell's definition, and is refused if the hash does not match.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from gpicl_envs.datasets.tables import TABLES
from gpicl_envs.errors import check_choice
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.protocol import UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.evaluation.records import Record, ScoredRecord
from gpicl_envs.registration import find_environment


@dataclass(frozen=True)
class Cell:
    """One column of a suite: an environment, and the episodes of it that are predicted.

    Args:
        name: in the suite.
        env: environment id.
        protocol: for an agent that was meta-trained on MNIST.
        episodes: E.
        length: N.
        final_positions: how many of the last positions are scored.
        variant: further arguments of the environment, in order.
        seed: of the episodes.
    """

    name: str
    env: str
    protocol: str
    episodes: int
    length: int = 100
    final_positions: int = LAST
    variant: tuple[tuple[str, Any], ...] = ()
    seed: int = 20_221_208

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the cell's distribution of episodes, of the test split."""
        return find_environment(self.env).arguments | {"split": "test", "length": self.length} | dict(self.variant)

    @property
    def learner_defaults(self) -> dict[str, Any]:
        """Arguments that a learner gets if its class has them and its text has not.

        Where the last position alone is scored, one that is fitted to the examples is fitted before that alone.
        """
        return {"first_fit": self.length - 1} if self.final_positions == 1 else {}

    @property
    def definition(self) -> str:
        """The sha256 of everything that defines the cell."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Suite:
    """A named list of cells.

    Args:
        name: ends in a version, or names a table; its meaning never changes.
        description: one line.
        cells: in the order of the table's columns.
    """

    name: str
    description: str
    cells: tuple[Cell, ...]

    def cell(self, name: str) -> Cell:
        """Return a cell by name."""
        cells = {cell.name: cell for cell in self.cells}
        return cells[check_choice(f"cell of {self.name}", name, tuple(cells))]

    def only(self, names: Iterable[str]) -> "Suite":
        """Return the suite with the cells of these names alone, as they are; with all of them without names."""
        chosen = {self.cell(name).name for name in names}
        return replace(self, cells=tuple(cell for cell in self.cells if not chosen or cell.name in chosen))


def _datasets(names: Iterable[str], episodes: int, final_positions: int = LAST) -> tuple[Cell, ...]:
    """A cell for each dataset: new tasks of MNIST's test images, or a dataset never seen."""
    return tuple(
        Cell(
            name,
            f"GPICL-{name}-v0",
            UNSEEN_TASK if name == "MNIST" else UNSEEN_DATASET,
            episodes,
            final_positions=final_positions,
        )
        for name in names
    )


def _mnist(name: str, episodes: int = 2048, length: int = 100, **variant: Any) -> Cell:
    """Unseen tasks of MNIST in a variant."""
    return Cell(name, "GPICL-MNIST-v0", UNSEEN_TASK, episodes, length, variant=tuple(variant.items()))


def _functions(name: str, length: int) -> Cell:
    """Functions of 20 inputs, twice as many examples and one (Garg et al. 2022, section 3)."""
    return Cell(name, f"GPICL-{name}-v0", UNSEEN_TASK, 4096, length, final_positions=1)


def _few_shot(name: str, shots: int) -> Cell:
    """5-way: `shots` examples of each of five classes, then the query that is scored, under 5 of the 10 labels."""
    protocol = UNSEEN_TASK if name == "MNIST" else UNSEEN_DATASET
    variant = ("active_classes", 5), ("shots", shots)
    return Cell(f"{name}-5-way-{shots}-shot", f"GPICL-{name}-v0", protocol, 4096, 5 * shots + 1, 1, variant)


def _table(name: str) -> Cell:
    """A real table: 20 draws of 100 rows, and 16 queries of each."""
    return Cell(name, "GPICL-RealTable-v0", UNSEEN_DATASET, 320, 101, final_positions=1, variant=(("table", name),))


EVERY_DATASET = (
    *("MNIST", "FashionMNIST", "KMNIST", "EMNISTLetters", "EMNISTBalanced", "QMNIST", "USPS"),
    *("CIFAR10", "CIFAR100", "SVHN", "Omniglot", "Digits", "Random", "Clusters"),
)

ROBUST = (
    _mnist("plain"),
    _mnist("label-noise-10", label_noise=0.1),
    _mnist("label-noise-30", label_noise=0.3),
    _mnist("imbalance-10", class_imbalance=10.0),
    _mnist("drift-task-50", drift_every=50, drift="task"),
    _mnist("drift-labels-50", drift_every=50, drift="labels"),
    _mnist("distractors-392", distractors=392),
    _mnist("length-1000", episodes=128, length=1000),
)

SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "gpicl-v1",
            "every available dataset: unseen tasks of MNIST, and unseen datasets",
            _datasets(EVERY_DATASET, 4096),
        ),
        Suite(
            "gpicl-table1",
            "the columns of the paper's Table 1: example 100 after 99, 10,000 sequences",
            _datasets(("MNIST", "FashionMNIST", "KMNIST", "Random", "CIFAR10", "SVHN"), 10_000, final_positions=1),
        ),
        Suite(
            "gpicl-mini",
            "two minutes without a network: MNIST, Digits, Random, Clusters",
            _datasets(("MNIST", "Digits", "Random", "Clusters"), 512),
        ),
        Suite(
            "gpicl-robust",
            "unseen tasks of MNIST with wrong labels, imbalance, drift, distractors, and ten times the length",
            ROBUST,
        ),
        Suite(
            "gpicl-robust-v2",
            "gpicl-robust, the return of a first task after another, 3 of 10 classes, and bursts of classes",
            (
                *ROBUST,
                _mnist("drift-return-40", length=120, drift_every=40, drift="return"),
                _mnist("active-classes-3", active_classes=3),
                _mnist("bursts-33", burstiness=33),
            ),
        ),
        Suite(
            "gpicl-fewshot-v1",
            "5-way 1-shot and 5-shot: new characters of Omniglot if available, Digits, MNIST; the query alone",
            tuple(_few_shot(name, shots) for name in ("Omniglot", "Digits", "MNIST") for shots in (1, 5)),
        ),
        Suite(
            "gpicl-regression",
            "functions of Garg et al. 2022: squared error at the last position",
            (
                _functions("LinearRegression", 41),
                _functions("SparseLinearRegression", 41),
                _functions("TwoLayerNetwork", 101),
                _functions("DecisionTree", 101),
            ),
        ),
        Suite(
            "gpicl-tables-v1",
            "13 small real tables: 100 rows, 16 queries, 20 times",
            tuple(map(_table, TABLES)),
        ),
    )
}


def find_suite(name: str) -> Suite:
    """Return a suite by name. Raises UnknownNameError, which lists the valid names."""
    return SUITES[check_choice("suite", name, tuple(SUITES))]


def check_suite_record(record: Record) -> None:
    """Raise ValueError, naming the record, if it is of an unknown suite, or of another definition of its cell."""
    claim = record.suite
    if claim is None:
        return
    cell = find_suite(claim.name).cell(claim.cell)
    subject = f"The record of {record.learner} in {claim.name}, {claim.cell},"
    advice = f"Run `gpicl benchmark --suite {claim.name}` again with this version."
    if claim.definition != cell.definition:
        raise ValueError(f"{subject} was made with another definition of that cell. {advice}")
    expected = {"env": cell.env, "protocol": cell.protocol, "seed": cell.seed, "episodes": cell.episodes}
    given = {name: getattr(record, name) for name in expected} | record.env_kwargs
    expected |= cell.arguments
    if isinstance(record, ScoredRecord):
        given["final_positions"] = record.final_positions
        expected["final_positions"] = min(cell.final_positions, cell.length)
    for name, value in expected.items():
        if given.get(name, value) != value:
            raise ValueError(f"{subject} has {name}={given[name]!r}, but the cell has {value!r}. {advice}")
