"""Python values as JSON and back: tuples stay tuples, and dicts keep keys that are no texts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

TUPLE, DICT = "__tuple__", "__dict__"  # how JSON holds tuples, and dicts with other keys than texts


def encode_exactly(value: Any) -> Any:
    """Return a value for JSON, from which `decode_exactly` makes the same value again."""
    if isinstance(value, tuple):
        return {TUPLE: [encode_exactly(item) for item in value]}
    if isinstance(value, list):
        return [encode_exactly(item) for item in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and not {TUPLE, DICT} & value.keys():
            return {key: encode_exactly(item) for key, item in value.items()}
        return {DICT: [[encode_exactly(key), encode_exactly(item)] for key, item in value.items()]}
    return value.item() if isinstance(value, np.generic) else value


def decode_exactly(value: Any) -> Any:
    """Return what was given to `encode_exactly`."""
    if isinstance(value, list):
        return [decode_exactly(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {TUPLE}:
        return tuple(decode_exactly(item) for item in value[TUPLE])
    if value.keys() == {DICT}:
        return {decode_exactly(key): decode_exactly(item) for key, item in value[DICT]}
    return {key: decode_exactly(item) for key, item in value.items()}
