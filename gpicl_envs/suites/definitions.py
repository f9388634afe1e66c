"""Frozen benchmark definitions: on which episodes learners, or players of in-context RL, are evaluated.

A suite never changes: another size, seed or dataset is another suite, with another name. Every record has the hash of
its cell's definition, and is refused if the hash does not match.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, Generic, TypeVar

from gpicl_envs.datasets.tables import TABLES
from gpicl_envs.errors import check_choice
from gpicl_envs.evaluation.metrics import LAST
from gpicl_envs.evaluation.protocol import UNSEEN_DATASET, UNSEEN_TASK
from gpicl_envs.evaluation.records import Record, ScoredRecord
from gpicl_envs.registration import find_environment, find_rl_environment


@dataclass(frozen=True)
class AnyCell(ABC):
    """One column of a suite: an environment, and which of its episodes.

    Args:
        name: in the suite.
        env: environment id.
        protocol: for an agent that was meta-trained on MNIST, or on the environment itself if it is one of RL.
        episodes: E.
        variant: further arguments of the environment, in order.
        seed: of the episodes.
    """

    name: str
    env: str
    protocol: str
    episodes: int
    variant: tuple[tuple[str, Any], ...] = field(default=(), kw_only=True)
    seed: int = field(default=20_221_208, kw_only=True)

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The arguments of the cell's distribution, of the test split."""

    @property
    def definition(self) -> str:
        """The sha256 of everything that defines the cell."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Cell(AnyCell):
    """Episodes of supervised learning, which are predicted.

    Args:
        length: N.
        final_positions: how many of the last positions are scored.
    """

    length: int = 100
    final_positions: int = LAST

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


@dataclass(frozen=True)
class ProblemCell(AnyCell):
    """Problems of in-context RL, which are played; `episodes` is their number."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the cell's distribution of problems, of the test split."""
        return find_rl_environment(self.env).arguments | {"split": "test"} | dict(self.variant)


C = TypeVar("C", bound=AnyCell)


@dataclass(frozen=True)
class Suite(Generic[C]):
    """A named list of cells.

    Args:
        name: ends in a version, or names a table; its meaning never changes.
        description: one line.
        cells: in the order of the table's columns.
    """

    name: str
    description: str
    cells: tuple[C, ...]

    def cell(self, name: str) -> C:
        """Return a cell by name."""
        cells = {cell.name: cell for cell in self.cells}
        return cells[check_choice(f"cell of {self.name}", name, tuple(cells))]

    def only(self, names: Iterable[str]) -> "Suite[C]":
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
    return Cell(f"{name}-5-way-{shots}-shot", f"GPICL-{name}-v0", protocol, 4096, 5 * shots + 1, 1, variant=variant)


def _table(name: str) -> Cell:
    """A real table: 20 draws of 100 rows, and 16 queries of each."""
    return Cell(name, "GPICL-RealTable-v0", UNSEEN_DATASET, 320, 101, final_positions=1, variant=(("table", name),))


def _problems(name: str, env: str, **variant: Any) -> ProblemCell:
    """1,000 unseen problems, as in the tables of Duan et al. 2016."""
    return ProblemCell(name, f"GPICL-{env}-v0", UNSEEN_TASK, 1000, variant=tuple(variant.items()))


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

SUITES: dict[str, Suite[Any]] = {
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
        Suite(
            "gpicl-rl-v1",
            "in-context RL: two bandits and the random MDPs of Duan et al. 2016, and the dark room",
            (
                _problems("bandit-5-arms-100-pulls", "Bandit", n_arms=5, length=100),
                _problems("bandit-10-arms-500-pulls", "Bandit", n_arms=10, length=500),
                _problems("mdp-10-episodes", "TabularMDP", n_states=10, n_actions=5, horizon=10, n_episodes=10),
                _problems("dark-room-5-episodes", "DarkRoom", size=9, horizon=20, n_episodes=5),
            ),
        ),
    )
}


def find_suite(name: str) -> Suite[Any]:
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
