"""Checks of the arrays that become a dataset."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.cache import Arrays
from gpicl_envs.datasets.dataset import SPLITS

SHOWN_NAMES = 8  # of arrays, in an error


def as_array(given: object) -> NDArray[Any]:
    """Return an array, a tensor of any device, or a list as a NumPy array, copied only if necessary."""
    if isinstance(given, np.ma.MaskedArray):
        raise ValueError("A masked array was given: fill its holes (x.filled(value)), or drop those examples.")
    torch = sys.modules.get("torch")  # a tensor can be given only if torch has been imported
    if torch is None or not isinstance(given, torch.Tensor):
        return np.asarray(given)
    tensor = given.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def check_inputs(what: str, given: object, copy: bool = False) -> NDArray[Any]:
    """Return (M, ...) uint8 or finite float32 inputs in C order, in new memory if `copy`.

    Raises:
        ValueError: the dtype or shape is wrong, or a number is not finite in float32.
    """
    x = as_array(given)
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{what} has dtype {x.dtype}: give uint8 or floating-point numbers (x.astype(np.float32)).")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{what} has shape {x.shape}: give (M, ...), one input of any shape for each of M examples.")
    with np.errstate(over="ignore"):
        converted = np.array(x, np.uint8 if x.dtype == np.uint8 else np.float32, order="C", copy=copy or None)
    if converted.dtype == np.float32 and not np.isfinite(converted).all():
        bad = len(converted) - int(np.isfinite(converted.reshape(len(x), -1)).all(1).sum())
        raise ValueError(f"{what} has {bad} inputs with values that are not finite in float32: remove or repair them.")
    return converted


def check_labels(what: str, given: object) -> NDArray[np.int64]:
    """Return (M,) integer labels, or (M, 1) as some datasets store them, as a new (M,) int64 array."""
    y = as_array(given)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise ValueError(
            f"{what} has dtype {y.dtype} and shape {y.shape}: give integer labels of shape (M,), one for each example."
        )
    return y.astype(np.int64)


def check_arrays(what: str, arrays: Arrays, copy: bool = False) -> Arrays:
    """Return the arrays of a dataset as they are stored: inputs uint8 or float32, labels int64.

    Args:
        what: names the arrays in errors.
        arrays: x_train and y_train, x_test and y_test, or one of the pairs; other names are ignored.
        copy: whether the inputs must be new memory.

    Raises:
        ValueError: inputs or labels are missing, lengths or shapes do not fit, the labels are not exactly 0 … K − 1, or
            all inputs are the same number.
    """
    splits = [split for split in SPLITS if {f"x_{split}", f"y_{split}"} & set(arrays)]
    if not splits:
        raise no_pair(what, list(arrays))
    checked: Arrays = {}
    for split in splits:
        if not {f"x_{split}", f"y_{split}"} <= set(arrays):
            raise ValueError(f"{what} has only one of x_{split} and y_{split}: give both.")
        x = check_inputs(f"x_{split} of {what}", arrays[f"x_{split}"], copy)
        y = check_labels(f"y_{split} of {what}", arrays[f"y_{split}"])
        if len(x) != len(y):
            raise ValueError(f"{what} has {len(x)} inputs in x_{split}, but {len(y)} labels in y_{split}.")
        checked |= {f"x_{split}": x, f"y_{split}": y}
    shapes = {checked[f"x_{split}"].shape[1:] for split in splits}
    if len(shapes) > 1:
        given = " and ".join(f"{checked[f'x_{split}'].shape[1:]} in x_{split}" for split in splits)
        raise ValueError(f"The inputs of {what} have different shapes: {given}.")
    inputs = [checked[f"x_{split}"] for split in splits]
    if min(x.min() for x in inputs) == max(x.max() for x in inputs):
        raise ValueError(f"The inputs of {what} are all {inputs[0].flat[0]}: nothing can be learnt from them.")
    check_label_range(what, [checked[f"y_{split}"] for split in splits])
    return checked


def no_pair(what: str, names: Sequence[str]) -> ValueError:
    """Return the error of data that have none of the arrays of a dataset, but arrays of these names."""
    given = ", ".join(names[:SHOWN_NAMES]) or "no arrays"
    more = f" and {len(names) - SHOWN_NAMES} more" if names[SHOWN_NAMES:] else ""
    unnamed = " (arrays that were saved without names)" if any(name.startswith("arr_") for name in names) else ""
    return ValueError(
        f"{what} has no x_train and y_train, nor x_test and y_test, but {given}{more}{unnamed}: give a pair, or both, "
        "as numpy.savez(path, x_train=x, y_train=y) does."
    )


def check_label_range(what: str, labels: list[NDArray[np.int64]]) -> None:
    """Raise ValueError unless the labels of all splits together are exactly 0 … K − 1, K ≥ 2."""
    present = np.unique(np.concatenate(labels))
    if len(present) < 2 or present[0] != 0 or present[-1] != len(present) - 1:
        raise ValueError(
            f"The labels of {what} run from {present[0]} to {present[-1]} with {len(present)} different values: they "
            "must be exactly 0 … K − 1, every class present, K at least 2. To renumber them: "
            "y = np.unique(y, return_inverse=True)[1]."
        )
