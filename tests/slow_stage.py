"""Parameters of tests of which `make test` tries a part, and the slow stage of `.ci/run` all."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest


def mostly_slow(values: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """Each of the values; those that are not among the quick ones in the slow stage alone."""
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]


def in_turn(first: Iterable[Any], second: Sequence[Any]) -> list[Any]:
    """Each of `first` with one of `second` in turn; all other pairs in the slow stage alone."""
    return [
        pytest.param(one, other, marks=[] if i % len(second) == j else [pytest.mark.slow])
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]
