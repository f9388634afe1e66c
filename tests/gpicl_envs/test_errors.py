import numpy as np
import pytest

from gpicl_envs.errors import (
    UnexpectedArgumentError,
    UnknownNameError,
    check_bool,
    check_choice,
    check_fraction,
    check_integer,
    check_number,
    construct,
)


def make_nothing(length: int, n_features: int = 2) -> tuple[int, int]:
    return length, n_features


def test_an_unknown_name_lists_the_nearest_and_all_valid_names():
    message = str(UnknownNameError("dataset", "mnits", ["SVHN", "MNIST"], "See the list."))
    assert message == "Unknown dataset 'mnits'. Did you mean 'MNIST'? Valid: MNIST, SVHN. See the list."
    assert "Did you mean" not in str(UnknownNameError("dataset", "x", ["Digits"]))
    assert "known once their package is installed" in str(UnknownNameError("learner", "x", []))
    assert check_choice("split", "test", ("train", "test")) == "test"


def test_a_missing_argument_is_named():
    with pytest.raises(ValueError, match="make_nothing needs length: give"):
        construct(make_nothing, {"n_features": 3})


@pytest.mark.parametrize("given", [3, np.int64(3), np.uint8(3)], ids=repr)
def test_whole_numbers_of_any_type_become_ints(given):
    assert type(check_integer("n", given, 3, 3)) is int


@pytest.mark.parametrize("given", [True, 3.0, "3", None, 2, 6], ids=repr)
def test_what_is_no_whole_number_in_range_is_refused(given):
    with pytest.raises(ValueError, match=r"n=.* is not allowed: give a whole number from 3 to 5 \(K has no more\)\."):
        check_integer("n", given, 3, 5, "K has no more")


@pytest.mark.parametrize(
    ("check", "valid", "invalid"),
    [
        (lambda given: check_fraction("p", given), [0, 0.5, np.float32(1)], [-0.1, 1.1, True, "1", float("nan")]),
        (lambda given: check_number("p", given, 1), [1, 2.5, np.int64(7)], [0.9, float("inf"), float("nan"), True]),
        (lambda given: check_bool("p", given), [True, False, np.bool_(True)], ["no", 2, None]),
    ],
)
def test_checks_return_what_is_allowed_and_refuse_the_rest(check, valid: list, invalid: list):
    assert [check(given) for given in valid] == valid
    for given in invalid:
        with pytest.raises(ValueError, match="^p=.* is not allowed: give "):
            check(given)


def test_an_unexpected_argument_is_a_value_error_and_a_type_error_with_the_nearest_name():
    assert construct(make_nothing, {"length": 3}) == (3, 2)
    with pytest.raises(UnexpectedArgumentError, match="make_nothing got an unexpected keyword argument 'lenght'. Did"):
        construct(make_nothing, {"lenght": 3})
    assert issubclass(UnexpectedArgumentError, TypeError) and issubclass(UnexpectedArgumentError, ValueError)
