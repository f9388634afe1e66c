"""Columns as arrays, without the packages that they come from."""

import numpy as np
import pytest

from gpicl_envs.datasets.columns import Column, LabelledColumns, listed, numbered_labels, stacked_inputs


def split(labels: list, names: tuple[str, ...] = (), **columns: list) -> LabelledColumns:
    made = [Column(name, np.array(values), isinstance(values[0], str)) for name, values in columns.items()]
    return LabelledColumns(made, np.array(labels), names)


def test_numbers_stay_and_categories_are_zeros_and_ones_in_both_splits():
    read = {"train": split([0, 1], a=[1, 2], b=["v", "u"]), "test": split([0, 1], b=["w", "u"], a=[3, 4])}
    inputs = stacked_inputs("mine", read)
    assert inputs["train"].tolist() == [[1, 0, 1, 0], [2, 1, 0, 0]]
    assert inputs["test"].tolist() == [[3, 0, 0, 1], [4, 1, 0, 0]]


def test_categories_that_are_numbers_are_sorted_as_such():
    column = Column("a", np.array([10, 9, 2, 10]), is_categorical=True)
    inputs = stacked_inputs("mine", {"train": LabelledColumns([column], np.arange(4))})
    assert inputs["train"].argmax(1).tolist() == [2, 1, 0, 2]


@pytest.mark.parametrize(
    ("labels", "names", "expected", "classes"),
    [
        ([3, 7, 3, 7], (), [0, 1, 0, 1], ("3", "7")),
        ([3.0, 7.0, 3.0, 7.0], (), [0, 1, 0, 1], ("3", "7")),
        (["b", "a", "b", "a"], (), [1, 0, 1, 0], ("a", "b")),
        ([True, False, True, False], (), [1, 0, 1, 0], ("0", "1")),
        ([0, 2, 0, 2], ("x", "y", "z"), [0, 1, 0, 1], ("x", "z")),
        ([0, 5, 0, 5], ("x", "y"), [0, 1, 0, 1], ("0", "5")),  # names of something else
    ],
    ids=range(6),
)
def test_labels_are_numbered_in_sorted_order(labels: list, names: tuple, expected: list, classes: tuple):
    numbered, found = numbered_labels("mine", {"train": split(labels, names)})
    assert numbered["train"].tolist() == expected and found == classes


def test_a_class_of_one_split_counts_in_both():
    numbered, names = numbered_labels("mine", {"train": split(["a", "c", "a", "c"]), "test": split(["b", "c"])})
    assert (
        numbered["train"].tolist() == [0, 2, 0, 2] and numbered["test"].tolist() == [1, 2] and names == ("a", "b", "c")
    )
    with pytest.raises(ValueError, match="labels of different types in train and test"):
        numbered_labels("mine", {"train": split(["0", "1"]), "test": split([0, 1])})


def test_long_lists_are_cut():
    assert listed(list("abcdefgh")) == "a, b, c, d, e, f, g, h"
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more" and listed([]) == "none"
