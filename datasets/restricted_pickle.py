"""Reads CIFAR's batches, which are Python 2 pickles, without letting a pickle run anything.

A pickle may name any function and have it called. Here only the five names by which numpy stores an
array are known, and they stand for small classes of this file that check their arguments: numpy
itself is not called before the pickle is read to its end. Every other name is refused.
"""

import io
import math
import pickle  # noqa: TID251 - read CIFAR, restricted below; never written
import pickletools
import reprlib
from collections import Counter

import numpy as np

from ..core.errors import FormatError

MAX_PICKLE_BYTES = 256 * 2**20
"""Largest pickle that is read, 256 MiB; the largest official batch has 155 MB."""

MAX_COUNTS = {"tuples": 64, "calls": 64}
"""An array takes five tuples and two calls. A long chain of nested tuples would exhaust the stack;
many calls on one remembered string would each make a copy of it.
"""

# What protocols 0 to 4 write for dicts, lists, tuples, strings, whole numbers and arrays.
OPCODES = frozenset(
    (
        "PROTO",
        "FRAME",
        "STOP",
        "MARK",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "EMPTY_LIST",
        "LIST",
        "APPEND",
        "APPENDS",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_DICT",
        "DICT",
        "SETITEM",
        "SETITEMS",
        "PUT",
        "BINPUT",
        "LONG_BINPUT",
        "MEMOIZE",
        "GET",
        "BINGET",
        "LONG_BINGET",
        "GLOBAL",
        "STACK_GLOBAL",
        "REDUCE",
        "BUILD",
    )
)
PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
COUNTED = {
    **dict.fromkeys(("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), "tuples"),
    "REDUCE": "calls",
}


def read_batch(data: bytes | bytearray, *, source: str) -> dict[str, object]:
    """Reads a pickled dictionary of arrays, lists, strings and numbers.

    Strings of Python 2 come back as bytes; the dictionary's own keys as text.

    Args:
        data: The pickle, protocol 0 to 4.
        source: The file's name, for messages.

    Raises:
        FormatError: If it is larger than `MAX_PICKLE_BYTES`, damaged, holds an array other than
            uint8, or names anything but an array; the message says what it names.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise FormatError(
            f"expected at most {MAX_PICKLE_BYTES} bytes in {source}, got {len(data)}; "
            "use the official file"
        )
    try:
        _check_operations(data, source)
        value = _BatchUnpickler(data, source).load()
        return _plain(value, source)
    except FormatError:
        raise
    # A damaged pickle may raise nearly anything, says Python's own manual of `pickle`.
    except Exception as error:
        raise FormatError(
            f"expected a whole batch in {source}, got {type(error).__name__} ({error}); "
            "fetch the official python version again"
        ) from error


class _BatchUnpickler(pickle.Unpickler):
    """An unpickler that knows only what stands for an array."""

    def __init__(self, data: bytes | bytearray, source: str) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._source = source

    def find_class(self, module_name: str, global_name: str, /) -> type:
        try:
            return PERMITTED[module_name, global_name]
        except KeyError:
            raise FormatError(
                f"expected only numbers, strings and arrays in {self._source}, got the global "
                f"{module_name}.{global_name}; nothing was run, use the official python version"
            ) from None


class _StandIn:
    """Base of all stand-ins.

    No instance has attributes of its own, and every class has `__setstate__`: without one, a pickle
    could set attributes of the class itself.
    """

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        raise TypeError(f"state for {type(self).__name__}: {reprlib.repr(state)}")


class _Uint8(_StandIn):
    """Stands for `numpy.dtype`: its name must be that of uint8, further details do not matter."""

    __slots__ = ()

    def __init__(self, name: object, align: object = 0, copy: object = 1) -> None:
        del align, copy
        if name not in ("u1", b"u1", "uint8", b"uint8"):
            raise TypeError(f"dtype {reprlib.repr(name)} instead of uint8")

    def __setstate__(self, state: object) -> None:
        del state


class _ArrayClass(_StandIn):
    """Stands for the class `numpy.ndarray`, which is named and never called."""

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("numpy.ndarray is called")


class _Array(_StandIn):
    """Stands for numpy's `_reconstruct` and the array that it begins; `state` completes it."""

    __slots__ = ("_array",)

    def __init__(self, kind: object, shape: object, typecode: object) -> None:
        if kind is not _ArrayClass or shape != (0,) or typecode not in ("b", b"b"):
            raise TypeError("an array that does not begin empty")
        self._array: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple(shape), _Uint8(), is_fortran, bytes(data)):
                self._array = _array(shape, data, order="F" if is_fortran else "C")
            case _:
                raise TypeError("an array whose state is not (version, shape, uint8, order, bytes)")

    @property
    def array(self) -> np.ndarray:
        """The array, read-only."""
        if self._array is None:
            raise TypeError("an array without data")
        return self._array


class _Latin1(_StandIn):
    """Stands for `_codecs.encode`, by which Python 3 writes bytes in protocol 2."""

    __slots__ = ()

    def __new__(cls, text: object, encoding: object) -> bytes:
        """Returns the bytes themselves."""
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise TypeError(f"bytes encoded as {reprlib.repr(encoding)} instead of latin1")
        return text.encode("latin1")


PERMITTED: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Uint8,
    ("_codecs", "encode"): _Latin1,
}
"""All that a batch may name."""


def _check_operations(data: bytes | bytearray, source: str) -> None:
    """Walks through the pickle without building anything, and refuses what can exhaust memory.

    The memo is a table: one entry with a huge index makes it huge.
    """
    counts = Counter[str]()
    for index, (operation, argument, _) in enumerate(pickletools.genops(data)):
        name, kind = operation.name, COUNTED.get(operation.name)
        if name not in OPCODES:
            raise _unofficial(
                "a dictionary of lists, strings and arrays", f"operation {name}", source
            )
        if kind:
            counts[kind] += 1
            if counts[kind] > MAX_COUNTS[kind]:
                raise _unofficial(f"at most {MAX_COUNTS[kind]} {kind}", "more", source)
        if name in PUTS and isinstance(argument, int) and not 0 <= argument <= index:
            raise _unofficial(f"at most {index} remembered objects", f"number {argument}", source)


def _unofficial(wanted: str, got: str, source: str) -> FormatError:
    return FormatError(f"expected {wanted} in {source}, got {got}; use the official python version")


def _array(shape: tuple[object, ...], data: bytes, *, order: str) -> np.ndarray:
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    if len(sizes) != len(shape) or math.prod(sizes) != len(data):
        raise TypeError(f"an array of shape {reprlib.repr(shape)} with {len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(sizes, order="F" if order == "F" else "C")


def _plain(value: object, source: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _unofficial("a dictionary", type(value).__name__, source)
    return {
        key.decode("ascii") if isinstance(key, bytes) else str(key): (
            item.array if isinstance(item, _Array) else item
        )
        for key, item in value.items()
    }
