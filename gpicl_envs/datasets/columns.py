"""Columns of a table, with labels, as the arrays of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.validation import SHOWN_NAMES

MOST_CATEGORIES = 256  # of one column, each of which becomes an input


@dataclass(frozen=True)
class Column:
    """(M, ...) values of a column; its categories are sorted, or those of a ClassLabel in its own order."""

    name: str
    values: NDArray[Any]
    is_categorical: bool = False


@dataclass(frozen=True)
class LabelledColumns:
    """The columns of the inputs, the labels, and the names of the labels 0, 1, … if they are such numbers."""

    inputs: list[Column]
    labels: NDArray[Any]
    names: tuple[str, ...] = ()


def stacked_inputs(name: str, read: Mapping[str, LabelledColumns]) -> dict[str, NDArray[Any]]:
    """Return the (M, ...) inputs of every split: the only image or array column, or (M, D) numbers and categories."""
    names = {split: [column.name for column in found.inputs] for split, found in read.items()}
    first = next(iter(names.values()))
    for split, others in names.items():
        if sorted(others) != sorted(first):
            raise ValueError(f"{name} has other columns in {split}, {listed(others)}, than {listed(first)}: give both.")
    columns = {
        column: {split: next(c for c in found.inputs if c.name == column) for split, found in read.items()}
        for column in first
    }
    arrays = [column for column in first if any(c.values.ndim > 1 for c in columns[column].values())]
    if arrays and len(first) > 1:
        raise ValueError(f"{name} has the columns {listed(first)}, of which {listed(arrays)} hold arrays: keep one.")
    if not first:
        raise ValueError(f"{name} has no column beside the label: give inputs.")
    if arrays:
        return {split: _floats(column.values) for split, column in columns[first[0]].items()}
    encoded = [_encoded(name, column, columns[column]) for column in first]
    return {split: np.concatenate([column[split] for column in encoded], axis=1) for split in read}


def _encoded(what: str, name: str, column: Mapping[str, Column]) -> dict[str, NDArray[np.float32]]:
    """(M, 1) numbers of a column in every split, or (M, number of categories) zeros and ones."""
    if not any(part.is_categorical for part in column.values()):
        return {split: part.values.astype(np.float32)[:, None] for split, part in column.items()}
    kinds = {part.values.dtype.kind for part in column.values()}
    values = {split: part.values if kinds <= set("biu") else part.values.astype(str) for split, part in column.items()}
    categories = np.unique(np.concatenate(list(values.values())))
    if len(categories) > MOST_CATEGORIES:
        raise ValueError(
            f"Column {name!r} of {what} has {len(categories):,} categories, more than {MOST_CATEGORIES}: merge rare "
            "ones, or leave the column out."
        )
    return {split: (given[:, None] == categories).astype(np.float32) for split, given in values.items()}


def numbered_labels(
    name: str, read: Mapping[str, LabelledColumns]
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Return (M,) labels 0 … K − 1 of every split, in sorted order of the values that exist, and their names."""
    labels = {split: _plain_labels(f"{name}, {split}", found.labels) for split, found in read.items()}
    if len({values.dtype.kind for values in labels.values()}) > 1:
        raise ValueError(f"{name} has labels of different types in train and test: give texts in both, or numbers.")
    values = np.unique(np.concatenate(list(labels.values())))
    total = sum(map(len, labels.values()))
    if 2 * len(values) > total:
        raise ValueError(
            f"{name} has {len(values):,} different labels in {total:,} rows: give a column of classes, each of them in "
            "several rows."
        )
    names = next(iter(read.values())).names
    if names and (values.dtype.kind != "i" or values[-1] >= len(names)):
        names = ()
    numbered = {split: np.searchsorted(values, part).astype(np.int64) for split, part in labels.items()}
    return numbered, tuple(names[value] if names else str(value) for value in values)


def _plain_labels(what: str, labels: NDArray[Any]) -> NDArray[Any]:
    """(M,) int64 labels or texts."""
    if labels.ndim == 1 and labels.dtype.kind in "OUT":
        return labels.astype(str)
    is_whole = labels.dtype.kind in "biu" or (labels.dtype.kind == "f" and bool((labels == np.round(labels)).all()))
    if labels.ndim != 1 or not is_whole:
        raise ValueError(
            f"The labels of {what} are {kind_of(labels)}: give one class a row, as a text or a whole number."
        )
    return labels.astype(np.int64)


def _floats(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype == np.uint8 else values.astype(np.float32)


def check_complete(what: str, name: str, missing: NDArray[np.bool_], remedy: str) -> None:
    """Raise ValueError if a column lacks values.

    Args:
        what: the table, for the error.
        name: of the column.
        missing: (M,) whether each value is.
        remedy: what to do, for the error.
    """
    if missing.any():
        raise ValueError(
            f"Column {name!r} of {what} lacks {missing.sum()} of {len(missing)} values, the first in row "
            f"{missing.argmax()}: {remedy}."
        )


def kind_of(values: NDArray[Any]) -> str:
    """Return what an array holds, in words."""
    if values.ndim != 1:
        return f"arrays of shape {values.shape[1:]}"
    return "texts or objects" if values.dtype.kind in "OUT" else f"numbers or dates of type {values.dtype}"


def listed(names: list[Any]) -> str:
    """Return the first names, for an error."""
    more = f" and {len(names) - SHOWN_NAMES} more" if names[SHOWN_NAMES:] else ""
    return (", ".join(map(str, names[:SHOWN_NAMES])) or "none") + more
