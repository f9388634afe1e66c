import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from gpicl_envs.evaluation.schema import DEEPEST, as_read, from_json, parse, to_json

SCHEMA = "schema", "test-1"


class Pair(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Kept:
    name: str = ""
    size: int = 0
    pair: Pair = Pair(0.0, 1.0)
    scores: list[float] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    schema: str = "test-1"


KEPT = Kept("ä ☃ \U0001f600", 3, Pair(-1.5, 1e300), [1, 2.5], {"a": [None, True, {"b": "c"}], "d": -(2**63)})


def test_what_is_written_is_read_again():
    line = to_json(KEPT)
    assert "\n" not in line and from_json(line, Kept, "here", SCHEMA) == as_read(KEPT) == KEPT


def test_numbers_of_numpy_are_written_as_plain_ones():
    given = Kept(
        size=np.int64(3), scores=np.array([1, 2.5], np.float32), kwargs={"a": np.bool_(True), "b": np.arange(2)}
    )
    assert as_read(given) == Kept(size=3, scores=[1.0, 2.5], kwargs={"a": True, "b": [0, 1]})


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [1.0, float("nan")]}, "scores.1=nan: Input should be a finite number"),
        ({"pair": Pair(0.0, float("inf"))}, "pair.1=inf: Input should be a finite number"),
        ({"scores": np.array([np.inf])}, "scores.0=inf: Input should be a finite number"),
        ({"kwargs": {"a": {"b": float("-inf")}}}, "kwargs.a.b=-inf: Input should be a finite number"),
        ({"size": 2**63}, "size=9223372036854775808: Input should be an integer of 64 bits"),
        ({"kwargs": {"a": -(10**30)}}, "kwargs.a=-1000.*: Input should be an integer of 64 bits"),
        ({"name": "half \ud83d"}, "name='half .ud83d': Input should be text without lone surrogates"),
        ({"kwargs": {3: 4}}, "kwargs=.*: Input should have text as its keys"),
        ({"kwargs": {"a\ud83d": 4}}, "kwargs=.*: Input should have text as its keys"),
        ({"kwargs": {"a": object}}, "kwargs.a=.*: Input should be a number, text, a list or a dictionary"),
        ({"kwargs": nested(DEEPEST + 1)}, "at most 32 levels"),
        ({"name": 3}, "name=3: Input should be a valid string"),
        ({"size": 3.0}, "size=3.0: Input should be a valid integer"),
        ({"size": True}, "size=True: Input should be a valid integer"),
        ({"pair": Pair(0.0, None)}, "pair.1=None: Input should be a valid number"),
    ],
    ids=str,
)
def test_what_could_not_be_read_again_is_not_written(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        to_json(Kept(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "here is nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "here is nested too deeply"),
        ('{"schema": "test-1", "kwargs": ' + '{"a": ' * 40 + "0" + "}" * 41, "here: kwargs(.a)+=.* at most 32 levels"),
        ("9" * 5000, "here is not JSON"),
        ('{"schema": "test-1", "kwargs": {"a": 1e999}}', "here: kwargs.a=inf: Input should be a finite number"),
        ('{"schema": "test-1", "kwargs": {"a": NaN}}', "here: kwargs.a=nan: Input should be a finite number"),
        ('{"schema": "test-1", "size": 9223372036854775808}', "here: size=.* integer of 64 bits"),
        ('{"schema": "test-1", "name": "\\ud83d"}', "here: name=.* lone surrogates"),
        ('{"schema": "test-1", "name": "a', "here is not JSON"),
        ("", "here is not JSON"),
        ("null", "here has the schema 'NoneType', but this version reads 'test-1'"),
        ('{"schema": {"a": [1]}}', "here has the schema {'a': .1.}, but"),
        (json.dumps({"schema": "x" * 10_000}), "here has the schema 'x{8,20}..."),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_read_is_plain_or_refused_with_its_place(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        from_json(text, Kept, "here", SCHEMA)


def test_a_text_without_a_dataclass_is_plain_values():
    assert parse('{"a": [1, 2.5, null]}', "here") == {"a": [1, 2.5, None]}
