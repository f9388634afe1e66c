import json

import numpy as np
import pytest

from gpicl_agents.training.exact_json import decode_exactly, encode_exactly


@pytest.mark.parametrize(
    "value",
    [(1, (2, "a"), [3]), {1: "a", (2, None): {"b": (True,)}}, {"__tuple__": [1]}, {"__dict__": [[1, 2]]}, [], {}, 1.5],
    ids=str,
)
def test_json_keeps_tuples_and_the_keys_of_dicts(value: object):
    again = decode_exactly(json.loads(json.dumps(encode_exactly(value))))
    assert again == value and repr(again) == repr(value)


def test_numbers_of_numpy_become_plain_ones():
    assert json.dumps(encode_exactly({"width": np.int64(3), "scale": np.float32(0.5)})) == '{"width": 3, "scale": 0.5}'
