"""Data frames (pandas, polars) and what `fetch_openml` returns as the arrays of a dataset.

They are known by what they can do, so that none of these packages is needed or imported here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpicl_envs.datasets.cache import Arrays
from gpicl_envs.datasets.columns import (
    Column,
    LabelledColumns,
    check_complete,
    kind_of,
    listed,
    numbered_labels,
    stacked_inputs,
)
from gpicl_envs.datasets.dataset import SPLITS
from gpicl_envs.datasets.hugging_face import is_hugging_face, read_hugging_face
from gpicl_envs.datasets.validation import as_array
from gpicl_envs.errors import UnknownNameError

TO_NUMBERS = "make them categories (frame.astype({name: 'category'})) or numbers, or leave the column out"


def is_framed(*given: object) -> bool:
    """Return whether one of these is a frame, a column of one, a Hugging Face dataset, or a mapping such as a Bunch."""
    return any(isinstance(value, Mapping) or hasattr(value, "to_numpy") or is_hugging_face(value) for value in given)


def framed_arrays(
    name: str, x: Any, y: Any = None, x_test: Any = None, y_test: Any = None, label: str | None = None
) -> tuple[Arrays, tuple[str, ...]]:
    """Return the arrays x_train, y_train and so on, and the names of the classes; see `register_dataset`."""
    given = {"train": (x, y), "test": (x_test, y_test)}
    if isinstance(x, Mapping) and not {"data", "target"} <= x.keys():  # a DatasetDict
        if not set(SPLITS) & x.keys() or any(value is not None for value in (y, x_test, y_test)):
            raise ValueError(
                f"{name} has the splits {listed(list(x))}: give a mapping with train, test or both, and nothing else; "
                "or one split, as x=splits['validation']."
            )
        given = {split: (x.get(split), None) for split in SPLITS}
    read = {
        split: _read(f"{name}, {split}", source, labels, label)
        for split, (source, labels) in given.items()
        if source is not None
    }
    arrays: Arrays = {f"x_{split}": array for split, array in stacked_inputs(name, read).items()}
    numbered, names = numbered_labels(name, read)
    return arrays | {f"y_{split}": array for split, array in numbered.items()}, names


def _read(what: str, source: Any, labels: Any, label: str | None) -> LabelledColumns:
    """Read one split; `what` names it in errors."""
    names: tuple[str, ...] = ()
    if isinstance(source, Mapping):  # a Bunch
        if labels is None and label is None:
            labels, found = source["target"], source.get("target_names")
            names = () if found is None else tuple(map(str, found))
        source = source["frame"] if label is not None and source.get("frame") is not None else source["data"]
    if is_hugging_face(source):
        return read_hugging_face(what, source, label)
    columns = _columns(what, source)
    if (labels is None) == (label is None):
        raise ValueError(
            f"{what}: give y or the name of the label column, and not both, as register_dataset(name, frame, "
            f"label='class'). The columns are {listed([column.name for column in columns])}."
        )
    if label is not None:
        chosen = [column for column in columns if column.name == label]
        if not chosen:
            raise UnknownNameError(f"column of {what}", label, [column.name for column in columns])
        columns, values = [column for column in columns if column.name != label], chosen[0].values
    else:
        found = _columns(what, labels)
        if len(found) != 1:
            raise ValueError(f"{what} has labels of {len(found)} columns: give one column.")
        values = found[0].values
    for column in columns:
        if column.values.dtype.kind not in "biuf" and not column.is_categorical:
            raise ValueError(f"Column {column.name!r} of {what} holds {kind_of(column.values)}: {TO_NUMBERS}.")
    return LabelledColumns(columns, values, names)


def _columns(what: str, source: Any) -> list[Column]:
    """The columns of a frame, or an array or a series as one column."""
    if not hasattr(source, "columns"):
        return [_column(what, str(getattr(source, "name", None) or "label"), source)]
    names = list(source.columns)
    if len(set(map(str, names))) < len(names):
        raise ValueError(f"{what} has several columns of one name: rename them. The columns are {listed(names)}.")
    return [_column(what, str(name), source[name]) for name in names]


def _column(what: str, name: str, series: Any) -> Column:
    """A column without missing values; raises ValueError if some are missing."""
    kind = str(getattr(series, "dtype", "")).lower()
    is_missing = getattr(series, "isna", None) or getattr(series, "is_null", None)
    missing = np.asarray(is_missing()) if is_missing is not None else np.zeros(len(series), bool)
    values = as_array(series)
    if values.dtype.kind == "f" and not missing.any():
        missing = np.isnan(values).reshape(len(values), -1).any(1)
    check_complete(what, name, missing, "fill them in (frame.fillna) or leave those rows out (frame.dropna)")
    if kind.startswith(("int", "uint", "float", "double", "bool")) and values.dtype.kind == "O":
        values = values.astype(np.float64)
    return Column(name, values, kind.startswith(("categor", "enum")))
