import warnings

import numpy as np
import pytest
import torch

from gpicl_envs.envs.arrays import (
    Lookup,
    as_array,
    as_tensor,
    copied,
    cumulated,
    filled,
    label_likelihood,
    one_hot,
    take_columns,
    to_float,
    to_int,
    where,
)

CPU = torch.device("cpu")
LIBRARIES = [as_array, lambda given: as_tensor(given, CPU)]


@pytest.mark.parametrize("of", LIBRARIES, ids=["NumPy", "torch"])
def test_each_library_gives_its_own_kind(of):
    labels, scores = to_int(of([2, 0])), to_float(of([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]))
    kind = type(labels)
    assert one_hot(labels, 3).tolist() == [[0, 0, 1], [1, 0, 0]] and type(one_hot(labels, 3)) is kind
    assert where(labels == 2, labels, -labels - 1).tolist() == [2, -1]
    expected = [2 - np.log(1 + np.e + np.e**2), 3 - np.log(2 + np.e**3)]
    assert label_likelihood(scores, labels).tolist() == pytest.approx(expected)
    for made, name in (
        (one_hot(labels, 3), "float32"),
        (label_likelihood(scores, labels), "float32"),
        (labels, "int64"),
    ):
        assert type(made) is kind and name in str(made.dtype)


def test_both_libraries_have_the_same_bits():
    scores = np.random.default_rng(0).normal(0, 20, (500, 10)).astype(np.float32)
    labels = np.arange(500) % 10
    batch = label_likelihood(torch.from_numpy(scores), torch.from_numpy(labels)).numpy()
    assert np.array_equal(label_likelihood(scores, labels), batch)
    one_by_one = [label_likelihood(scores[i : i + 1], labels[i : i + 1])[0] for i in range(500)]
    assert np.array_equal(one_by_one, batch)


def test_too_large_numbers_are_infinite_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_float(np.array([1e300, -1e300])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (3, "int64"),
        ([1.5], "float64"),
        (torch.tensor([1.5], dtype=torch.bfloat16, requires_grad=True), "float32"),
        ([torch.tensor(1), torch.tensor(2)], "int64"),
        (np.float16(2), "float16"),
        (True, "bool"),
    ],
)
def test_numbers_of_any_kind_become_a_new_array(given, dtype: str):
    made = as_array(given)
    assert made.dtype == dtype and made.flags.owndata and np.array_equal(made, torch.as_tensor(given).tolist())


@pytest.mark.parametrize("given", [None, "text", [1, "a"], {1: 2}, 1j, 2**70])
def test_what_is_no_number_is_refused(given):
    with pytest.raises(TypeError, match="no type of numbers"):
        as_array(given)


@pytest.mark.parametrize("of", LIBRARIES, ids=["NumPy", "torch"])
def test_rows_are_looked_up_and_added_up(of):
    rows = of([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    columns = take_columns(rows, of([1, 0, 1]))
    assert columns.tolist() == [[8, 1, 8], [16, 2, 16], [32, 4, 32]]
    assert cumulated(columns).tolist() == [[8, 1, 8], [24, 3, 24], [56, 7, 56]]
    assert rows.tolist() == [[1, 2, 4], [8, 16, 32]] and take_columns(rows, of([1])).tolist() == [[8], [16], [32]]
    found = Lookup(np.array([[5, 6], [7, 8]]), CPU)[of([1, 1, 0])]
    assert found.tolist() == [[7, 8], [7, 8], [5, 6]] and type(found) is type(rows)


@pytest.mark.parametrize("of", LIBRARIES, ids=["NumPy", "torch"])
def test_copies_have_memory_of_their_own(of):
    values = of([1.5, 2.5])
    for made in (copied(values), filled(values, 3)):
        assert made.dtype == values.dtype and type(made) is type(values)
        made[:] = 0
    assert values.tolist() == [1.5, 2.5] and filled(values, 3).tolist() == [3, 3]
