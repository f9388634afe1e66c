"""Random damage to JSON, for tests that every damaged file is read or refused with its name and place."""

import copy
import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 2.5, 1e300, float("nan"), float("inf"), 2**63, -(10**400), 10**9),
    *("", "x", "a\nb", "\x1b[31m", "\ud83d", "x" * 10_000, "../../etc", "knn", "1e9", "NaN"),
    *([], {}, [[]], [1], ["a"], {"a": 1}, {"": None}, [None] * 50),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value inside lists and dictionaries: the container, and the key or number."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def damaged_value(text: str, chance: random.Random) -> str:
    """The JSON text of an object with one value, or key, changed or taken away."""
    found = copy.deepcopy(json.loads(text))
    container, key = chance.choice(places(found))
    how = chance.randrange(6)
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        container[chance.choice(["", "x", key.upper(), f"{key} ", "schema"])] = container.pop(key)
    elif how == 2:
        other, place = chance.choice(places(found))
        container[key] = copy.deepcopy(other[place])
    elif how == 3 and isinstance(container[key], int | float):
        container[key] = chance.choice([-1, 2, 1000, 1e-9]) * container[key]
    else:
        container[key] = chance.choice(ODD)
    return json.dumps(found)


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """The content with a bit flipped, or a piece cut out, repeated, moved, or replaced by something else."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.choice([1, 2, 10, 100, len(content)]))
    piece, how = content[start:end], chance.randrange(7)
    if how == 0:
        changed = bytes([content[start] ^ (1 << chance.randrange(8))]) + content[start + 1 : end]
    elif how == 1:
        changed = b""
    elif how == 2:
        changed = piece + piece
    elif how == 3:
        changed = piece[::-1]
    elif how == 4:
        changed = chance.choice([nested(100_000).encode(), b"9" * 5000, b"\xff\xfe", bytes(20), b"\r", b'"', b"{}"])
    elif how == 5:
        changed = chance.randbytes(len(piece))
    else:
        return content[:start]
    return content[:start] + changed + content[end:]
