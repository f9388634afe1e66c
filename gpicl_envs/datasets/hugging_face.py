"""Hugging Face datasets as labelled columns, by what they can do: the package `datasets` is not imported here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpicl_envs.datasets.columns import Column, LabelledColumns, check_complete, listed
from gpicl_envs.errors import UnknownNameError

IMAGE_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}  # of pillow → as they are kept


def is_hugging_face(source: Any) -> bool:
    """Return whether this is a dataset of Hugging Face: it has features and column names."""
    return hasattr(source, "features") and hasattr(source, "column_names")


def read_hugging_face(what: str, dataset: Any, label: str | None) -> LabelledColumns:
    """Return the columns of one split, which `what` names in errors; `label` is the only ClassLabel by default."""
    if not hasattr(dataset, "select_columns") or not hasattr(dataset, "__len__"):
        raise ValueError(f"{what} is a stream: give rows, as datasets.Dataset.from_list(list(stream.take(1000))).")
    features = dataset.features
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    label = _label_column(what, kinds, label)
    images = [name for name, kind in kinds.items() if kind == "Image" and name != label]
    if len(images) > 1:
        raise ValueError(f"{what} has the image columns {listed(images)}: keep one (select_columns([…, {label!r}])).")
    labels = _arrow_column(what, dataset, label).values
    names = tuple(features[label].names) if kinds[label] == "ClassLabel" else ()
    if names and labels.min() < 0:
        raise ValueError(f"{what} has {(labels < 0).sum()} rows without a label (−1): leave them out.")
    if images:  # other columns, such as file names, are no inputs
        return LabelledColumns([Column(images[0], _pixels(what, images[0], dataset))], labels, names)
    inputs = [_hugging_face_column(what, dataset, name) for name in kinds if name != label]
    return LabelledColumns(inputs, labels, names)


def _label_column(what: str, kinds: dict[str, str], label: str | None) -> str:
    """The column that was named, or else the only ClassLabel."""
    if label is not None and label not in kinds:
        raise UnknownNameError(f"column of {what}", label, kinds)
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if label is None and len(labels) != 1:
        found = f"several columns of type ClassLabel, {listed(labels)}" if labels else "no column of type ClassLabel"
        raise ValueError(f"{what} has {found}: give label=, one of its columns {listed(list(kinds))}.")
    return label if label is not None else labels[0]


def _hugging_face_column(what: str, dataset: Any, name: str) -> Column:
    feature = dataset.features[name]
    kind, dtype = type(feature).__name__, str(getattr(feature, "dtype", ""))
    if kind == "ClassLabel" or (kind == "Value" and dtype.startswith(("int", "uint", "float", "bool"))):
        return _arrow_column(what, dataset, name, kind == "ClassLabel")
    values = None if kind == "Value" else dataset.select_columns([name]).with_format("numpy")[:][name]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise ValueError(
            f"Column {name!r} of {what} holds {dtype or kind}, not numbers of one shape: leave it out (remove_columns)."
        )
    return Column(name, values)


def _arrow_column(what: str, dataset: Any, name: str, is_categorical: bool = False) -> Column:
    """A column of plain values, as Arrow keeps them; raises ValueError if some are missing."""
    column = dataset.select_columns([name]).with_format("arrow")[:].column(name)
    check_complete(what, name, np.asarray(column.is_null()), "fill them in (map) or leave those rows out (filter)")
    return Column(name, column.to_numpy(), is_categorical)


def _pixels(what: str, name: str, dataset: Any) -> NDArray[np.uint8]:
    """(M, H, W) or (M, H, W, 3) uint8 pixels of an image column: grey if all images are grey."""
    images = list(dataset.select_columns([name]).with_format(None)[:][name])
    if None in images:
        raise ValueError(f"Column {name!r} of {what} lacks the image of row {images.index(None)}: leave the row out.")
    modes, sizes = {image.mode for image in images}, sorted({image.size for image in images})
    if modes - IMAGE_MODES.keys() or len(sizes) > 1:
        raise ValueError(
            f"Column {name!r} of {what} holds images of the modes {listed(sorted(modes))} and sizes "
            f"{listed([f'{width} × {height}' for width, height in sizes])}: give one size, and modes out of "
            f"{', '.join(IMAGE_MODES)} (map with image.resize((28, 28)).convert('RGB'))."
        )
    mode = "L" if {IMAGE_MODES[mode] for mode in modes} == {"L"} else "RGB"
    return np.stack([np.asarray(image.convert(mode)) for image in images])
