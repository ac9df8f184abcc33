"""Whole numbers in an ONNX graph, each with its proven range, so that no operation overflows.

int32 where the range allows, else int64; what leaves 64 bits is refused while the graph is written.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import RangeError
from ..sim.per_neuron import PerNeuron
from .onnx_scope import Scope, Value

INT32_LOW, INT32_HIGH = -(1 << 31), (1 << 31) - 1
INT64_HIGH = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A tensor of integers.

    Args:
        name: In the graph.
        low, high: Every element lies between them, both included.
        dtype: Of its elements.
    """

    name: Value
    low: int
    high: int
    dtype: type

    @property
    def peak(self) -> int:
        """Greatest absolute value."""
        return max(-self.low, self.high)


def dtype_for(low: int, high: int) -> type:
    """The type that computes with numbers of this range.

    Raises:
        RangeError: If none does.
    """
    if low >= INT32_LOW and high <= INT32_HIGH:
        return np.int32
    if max(-low, high) > INT64_HIGH:
        raise RangeError(
            f"expected whole numbers of 64 bits in an ONNX graph, got {low}..{high}; use smaller "
            f"weights or payloads"
        )
    return np.int64


def constant(scope: Scope, values: np.ndarray) -> Whole:
    """Whole numbers stored in the file."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    dtype = dtype_for(low, high)
    return Whole(name=scope.constant(values.astype(dtype)), low=low, high=high, dtype=dtype)


def held_in(scope: Scope, x: Whole, dtype: type) -> Whole:
    """`x` in another type, which holds it."""
    if x.dtype is dtype:
        return x
    return replace(x, name=scope.cast(x.name, dtype), dtype=dtype)


def add(scope: Scope, x: Whole, y: Whole) -> Whole:
    """x + y."""
    low, high = x.low + y.low, x.high + y.high
    dtype = dtype_for(min(low, x.low, y.low), max(high, x.high, y.high))
    names = (held_in(scope, each, dtype).name for each in (x, y))
    return Whole(name=scope.add("Add", *names), low=low, high=high, dtype=dtype)


def times(scope: Scope, x: Whole, factor: PerNeuron) -> Whole:
    """x · factor; several factors broadcast."""
    least, most = int(np.min(factor)), int(np.max(factor))
    if least == most == 1:
        return x
    ends = [a * b for a in (x.low, x.high) for b in (least, most)]
    low, high = min(ends), max(ends)
    dtype = dtype_for(min(low, x.low, least), max(high, x.high, most))
    name = scope.add("Mul", held_in(scope, x, dtype).name, scope.constant(np.array(factor, dtype)))
    return Whole(name=name, low=low, high=high, dtype=dtype)


def towards_zero(scope: Scope, x: Whole, divisor: int) -> Whole:
    """x / divisor, rounded towards zero: how ONNX divides whole numbers."""
    dtype = dtype_for(min(x.low, 0), max(x.high, divisor))
    name = scope.add("Div", held_in(scope, x, dtype).name, scope.constant(np.array(divisor, dtype)))
    low, high = (abs(end) // divisor * (1 if end > 0 else -1) for end in (x.low, x.high))
    return narrowed(scope, Whole(name=name, low=low, high=high, dtype=dtype))


def modulo(scope: Scope, x: Whole, divisor: int) -> Whole:
    """x modulo divisor in 0..divisor − 1: the sign of ONNX's Mod is the divisor's."""
    dtype = dtype_for(min(x.low, 0), max(x.high, divisor))
    name = scope.add("Mod", held_in(scope, x, dtype).name, scope.constant(np.array(divisor, dtype)))
    return narrowed(scope, Whole(name=name, low=0, high=divisor - 1, dtype=dtype))


def shifted_right(scope: Scope, x: Whole, bits: int) -> Whole:
    """x >> bits, rounded down."""
    if not bits:
        return x
    whole = add(scope, x, times(scope, modulo(scope, x, 1 << bits), -1))
    exact = towards_zero(scope, whole, 1 << bits)
    return replace(exact, low=x.low >> bits, high=x.high >> bits)


def wrapped(scope: Scope, x: Whole, bits: int) -> Whole:
    """x modulo 2^bits in −2^(bits−1)..2^(bits−1) − 1; nothing where it lies there anyway."""
    half = 1 << (bits - 1)
    if x.low >= -half and x.high < half:
        return narrowed(scope, x)
    centred = add(scope, x, constant(scope, np.array(half)))
    cut = add(scope, modulo(scope, centred, 2 * half), constant(scope, np.array(-half)))
    return narrowed(scope, replace(cut, low=-half, high=half - 1))


def clipped(scope: Scope, x: Whole, low: int, high: int) -> Whole:
    """x limited to low..high; nothing where it lies there anyway."""
    if x.low >= low and x.high <= high:
        return x
    ends = (scope.constant(np.array(end, x.dtype)) for end in (low, high))
    name = scope.add("Clip", x.name, *ends)
    return narrowed(scope, replace(x, name=name, low=max(low, x.low), high=min(high, x.high)))


def chosen(scope: Scope, condition: Value, x: Whole, y: Whole) -> Whole:
    """x where the condition holds, else y."""
    low, high = min(x.low, y.low), max(x.high, y.high)
    dtype = dtype_for(low, high)
    names = (held_in(scope, each, dtype).name for each in (x, y))
    return Whole(name=scope.add("Where", condition, *names), low=low, high=high, dtype=dtype)


def is_above(scope: Scope, x: Whole, bound: PerNeuron) -> Value:
    """x > bound, strictly; x is never the last number of its type. Several bounds broadcast."""
    # A bound that no x reaches says the same as the last number of the type.
    ends = np.iinfo(x.dtype)
    kept = np.clip(np.asarray(bound, np.int64), ends.min, ends.max)
    return scope.add("Greater", x.name, scope.constant(np.array(kept, x.dtype)))


def narrowed(scope: Scope, x: Whole) -> Whole:
    """`x` in the smallest type that computes with it."""
    return held_in(scope, x, dtype_for(x.low, x.high))
