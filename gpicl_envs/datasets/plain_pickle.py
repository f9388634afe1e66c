"""Reading a pickle as data: nothing in it is ever imported, made or called, whoever wrote the file.

Its opcodes are walked by hand. Of the names that a pickle can mention, only those by which NumPy stores arrays of
numbers mean something, and what they mean is worked out here, from the bytes of the file.
"""

import pickletools
from typing import Any

import numpy as np

MOST_OPCODES = 5_000_000
MEANINGS = {
    **{f"numpy.{core}.multiarray _reconstruct": "array" for core in ("core", "_core")},
    **{f"numpy.{core}.numeric _frombuffer": "buffer" for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray scalar": "scalar" for core in ("core", "_core")},
    "numpy ndarray": "class",
    "numpy dtype": "dtype",
    "_codecs encode": "bytes",  # how Python 3 writes bytes for Python 2
}
PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT", "UNICODE"}
VALUES |= {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
TEXTS_OF_PYTHON_2 = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # which are bytes
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
SKIPPED = {"PROTO", "FRAME", "STOP"}
_MARK = object()


class _Named:
    """What a pickle names, or builds by a name: its meaning, and its value once that is complete."""

    def __init__(self, meaning: str, value: Any = None) -> None:
        self.meaning, self.value = meaning, value


def read_pickled_dict(content: bytes) -> dict[str, Any]:
    """Return the dictionary in a pickle: its values are numbers, text, bytes, arrays of numbers, or containers of them.

    Raises:
        ValueError: it is damaged, is no dictionary, or holds anything else, such as a name that could be called.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if count > MOST_OPCODES:
            raise ValueError(f"it has more than {MOST_OPCODES:,} parts")
        try:
            _take(opcode.name, argument, stack, memo)
        except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"its part {count} ({opcode.name}) does not fit those before it") from error
    if len(stack) != 1 or not isinstance(stack[0], dict):
        raise ValueError("it holds no dictionary")
    return {_text(key): value.value if isinstance(value, _Named) else value for key, value in stack[0].items()}


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _take(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Take one opcode."""
    if name in VALUES:
        stack.append(argument)
    elif name in PLAIN:
        stack.append(PLAIN[name])
    elif name in TEXTS_OF_PYTHON_2:
        stack.append(argument.encode("latin-1"))
    elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET", "GET"):
        stack.append(memo[argument])
    elif name in ("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"):
        _take_named(name, argument, stack)
    elif name not in SKIPPED:
        _take_container(name, stack)


def _take_container(name: str, stack: list[Any]) -> None:
    """Take an opcode of a list, tuple or dictionary."""
    if name == "MARK":
        stack.append(_MARK)
    elif name in TUPLES:
        stack.append(tuple(_popped(stack, TUPLES[name])))
    elif name in ("TUPLE", "LIST", "DICT"):
        items = _since_mark(stack)
        stack.append(tuple(items) if name == "TUPLE" else items if name == "LIST" else _pairs(items))
    elif name in ("EMPTY_LIST", "EMPTY_DICT"):
        stack.append([] if name == "EMPTY_LIST" else {})
    elif name in ("APPEND", "APPENDS"):
        items = _since_mark(stack) if name == "APPENDS" else _popped(stack, 1)
        _of_type(stack[-1], list).extend(items)
    elif name in ("SETITEM", "SETITEMS"):
        items = _since_mark(stack) if name == "SETITEMS" else _popped(stack, 2)
        _of_type(stack[-1], dict).update(_pairs(items))
    else:
        raise ValueError(f"it uses {name}, which plain data do not need")


def _take_named(name: str, argument: Any, stack: list[Any]) -> None:
    """Take an opcode of a name, or of what is built by one."""
    if name in ("GLOBAL", "STACK_GLOBAL"):
        full = argument if name == "GLOBAL" else " ".join(_popped(stack, 2))
        if full not in MEANINGS:
            raise ValueError(f"it would call {full.replace(' ', '.')!r}, which plain data do not need; nothing was run")
        stack.append(_Named(MEANINGS[full]))
    elif name == "REDUCE":
        named, arguments = _popped(stack, 2)
        stack.append(_reduced(_of_type(named, _Named).meaning, _of_type(arguments, tuple)))
    else:
        state = _of_type(stack.pop(), tuple)
        built = _of_type(stack[-1], _Named)
        if built.meaning == "array":
            _, shape, dtype, fortran, numbers = state
            built.value = _array(numbers, dtype, shape, "F" if fortran else "C")
        elif built.meaning != "dtype" or any(state[2:5]):  # a dtype of parts
            raise ValueError("it has an array of something else than numbers")
        elif state[1] in (">", b">"):
            built.value = built.value.newbyteorder(">")


def _reduced(meaning: str, arguments: tuple[Any, ...]) -> Any:
    """What a name makes of its arguments."""
    if meaning == "bytes":
        text, _ = arguments
        return text.encode("latin-1")
    if meaning == "array":
        return _Named("array")  # its state follows
    if meaning == "buffer":
        return _Named("array", _array(*arguments))
    if meaning == "scalar":
        dtype, number = arguments
        return _array(number, dtype, (), "C").item()
    if meaning == "dtype":
        return _Named("dtype", _number_type(arguments[0]))
    raise ValueError("it calls a class")


def _number_type(code: Any) -> np.dtype[Any]:
    code = code.decode("latin-1") if isinstance(code, bytes) else code
    if code not in ("b1", *(f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8) if kind + str(size) != "f1")):
        raise ValueError(f"it has an array of {code!r}, not of numbers")
    return np.dtype(code)


def _array(numbers: Any, dtype: Any, shape: Any, order: str) -> Any:
    """The array whose numbers are these bytes; raises ValueError if there are more or fewer of them."""
    values = np.frombuffer(_of_type(numbers, bytes | bytearray), _of_type(dtype, _Named).value)
    if not isinstance(shape, tuple) or min(shape, default=0) < 0:
        raise ValueError(f"it has an array of shape {shape}")
    return values.reshape(shape, order="F" if order == "F" else "C")


def _of_type(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _popped(stack: list[Any], count: int) -> list[Any]:
    """The last values, taken off the stack."""
    if len(stack) < count:
        raise IndexError
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _since_mark(stack: list[Any]) -> list[Any]:
    """The values since the last mark, taken off the stack with it."""
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
        if place < 0:
            raise IndexError
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = [_of_type(key, str | bytes | int) for key in items[::2]]
    return dict(zip(keys, items[1::2], strict=True))
