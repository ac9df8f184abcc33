"""A synapse's weighted sums in an ONNX graph, exact, and wrapped where Lava's wrap.

Integer operators multiply bytes: ConvInteger and MatMulInteger, x in uint8 and w in int8, summed in
int32. Larger numbers are split into digits of base 2⁷, which also keeps every input below 128: on
processors without VNNI onnxruntime adds pairs of products in 16 bits, and 2·127·127 still fits.

    Σ w·x = Σ_jk 2^(7(j+k)) · Σ w_k·x_j,   w = Σ_k 2^(7k)·w_k,  x = Σ_j 2^(7j)·x_j

What may be negative is shifted to 0.. first, and what the shift adds (0 in the padding) is known
when the graph is written. Float32 sums are the quicker alternative where `exact_dtype` proves them.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int

from ..core.errors import RangeError
from ..sim.exact_sums import channel_bounds, exact_dtype
from ..sim.fixed_point import INT32, STATE_MAX
from ..sim.program import Synapse
from . import whole
from .onnx_scope import Scope, Value
from .whole import Whole

Sums = Literal["integer", "float32"]
DIGIT_BITS = 7
BASE = 1 << DIGIT_BITS
MOST_INPUTS = (INT32 - 1) // (BASE - 1) ** 2
"""So many products of digits add up in int32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Train:
    """What a node sends: `raw + shift`, with `raw` from 0.

    Args:
        raw: `[B, *shape]`.
        shift: int, per channel; 0 for spikes.
        low, high: Range of the sum of both.
    """

    raw: Whole
    shift: Int[np.ndarray, " C"]
    low: int
    high: int


def sums(
    scope: Scope,
    synapse: Synapse,
    weight: Int[np.ndarray, "..."],
    train: Train,
    *,
    shape: tuple[int, ...],
    how: Sums,
) -> Whole:
    """What a synapse adds to its target.

    Args:
        scope: Where to write.
        synapse: The synapse.
        weight: Its weights, or the part of them that shares one delay.
        train: What it weighs, `[B, *shape]`.
        shape: Of its source.
        how: By integer operators throughout, or in float32 where that is proven exact.

    Returns:
        `[B, *target]`.

    Raises:
        RangeError: If the sums leave what can be computed exactly.
    """
    _check_products(synapse, train, largest=int(np.abs(weight.astype(np.int64)).max(initial=0)))
    if arithmetic(synapse, low=train.low, high=train.high, how=how) == "float32":
        total = _in_float32(scope, synapse, weight, train, shape)
    else:
        total = _in_digits(scope, synapse, weight, train, shape)
    low, high = _range(weight, low=train.low, high=train.high)
    total = whole.narrowed(scope, replace(total, low=low, high=high))
    if synapse.is_conv:
        return _wrapped_conv(scope, total)
    # With delays Lava sums in int64 and wraps behind the shift.
    total = total if synapse.is_delayed else whole.wrapped(scope, total, 32)
    return whole.shifted_right(scope, total, synapse.shift)


def arithmetic(synapse: Synapse, *, low: int, high: int, how: Sums) -> str:
    """What `sums` uses for a synapse: `integer` or `float32`."""
    largest = max(int(np.abs(synapse.weight.astype(np.int64)).max(initial=0)), -low, high)
    bound = int(channel_bounds(synapse, low=low, high=high).max(initial=0))
    is_short = exact_dtype(bound, largest=largest) is torch.float32
    return "float32" if how == "float32" and is_short else "integer"


def _in_float32(
    scope: Scope,
    synapse: Synapse,
    weight: np.ndarray,
    train: Train,
    shape: tuple[int, ...],
) -> Whole:
    x = scope.cast(train.raw.name, np.float32)
    if train.shift.any():
        x = scope.add("Add", x, scope.constant(_per_channel(train, shape).astype(np.float32)))
    found = _linear(scope, synapse, x, weight.astype(np.float32), "Conv", "MatMul")
    low, high = _range(weight, low=train.low, high=train.high)
    return Whole(name=scope.cast(found, np.int32), low=low, high=high, dtype=np.int32)


def _in_digits(
    scope: Scope, synapse: Synapse, weight: np.ndarray, train: Train, shape: tuple[int, ...]
) -> Whole:
    fan_in = weight[0].size
    if fan_in > MOST_INPUTS:
        raise RangeError(
            f"expected at most {MOST_INPUTS} inputs a neuron in synapse {synapse.label}, got "
            f"{fan_in}; split the layer"
        )
    parts = []
    if train.shift.any():
        parts.append(whole.constant(scope, _of_shift(synapse, weight, train, shape)))
    inputs = _input_digits(scope, train.raw)
    for k, digit in _weight_digits(weight):
        for j, (x, peak) in enumerate(inputs):
            name = _linear(scope, synapse, x, digit, "ConvInteger", "MatMulInteger")
            low, high = _range(digit, low=0, high=peak)
            part = Whole(name=name, low=low, high=high, dtype=np.int32)
            parts.append(whole.times(scope, part, BASE ** (j + k)))
    return reduce(lambda x, y: whole.add(scope, x, y), parts)


def _linear(
    scope: Scope, synapse: Synapse, x: Value, weight: np.ndarray, conv: str, dense: str
) -> Value:
    """One operator: a convolution, or a product with the flattened input."""
    if synapse.is_conv:
        (down, right), kernel = synapse.padding, list(weight.shape[2:])
        options: dict[str, Any] = {
            "kernel_shape": kernel,
            "strides": list(synapse.stride),
            "pads": [down, right, down, right],
            "dilations": list(synapse.dilation),
            "group": synapse.groups,
        }
        return scope.add(conv, x, scope.constant(weight), **options)
    flat = scope.add("Reshape", x, scope.integers(-1, weight.shape[1]))
    return scope.add(dense, flat, scope.constant(weight.T))


def _input_digits(scope: Scope, raw: Whole) -> list[tuple[Value, int]]:
    """Digits of a train in uint8, lowest first, and the greatest value of each."""
    digits, rest = [], raw
    while rest.high >= BASE:
        rest = whole.narrowed(scope, rest)
        lowest = whole.modulo(scope, rest, BASE)
        digits.append((scope.cast(lowest.name, np.uint8), BASE - 1))
        rest = whole.towards_zero(scope, rest, BASE)
    return [*digits, (whole.held_in(scope, rest, np.uint8).name, rest.high)]


def _weight_digits(weight: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Exponents, and int8 digits with the sign of the weight; those that are all 0 are left out."""
    sign, rest = np.sign(weight.astype(np.int64)), np.abs(weight.astype(np.int64))
    digits = []
    while rest.any():
        digits.append((sign * (rest % BASE)).astype(np.int8))
        rest >>= DIGIT_BITS
    found = [(k, digit) for k, digit in enumerate(digits) if digit.any()]
    return found or [(0, weight.astype(np.int8))]


def _range(weight: np.ndarray, *, low: int, high: int) -> tuple[int, int]:
    """Least and greatest sum of inputs in low..high, 0 among them: it occurs in the padding."""
    rows = weight.astype(np.int64).reshape(len(weight), -1)
    # Python's integers: products of 32-bit weights and payloads, summed, leave 64 bits.
    up, down = (each.sum(axis=1).astype(object) for each in (rows.clip(0), rows.clip(None, 0)))
    low, high = min(low, 0), max(high, 0)
    return int((up * low + down * high).min()), int((up * high + down * low).max())


def _of_shift(
    synapse: Synapse, weight: np.ndarray, train: Train, shape: tuple[int, ...]
) -> np.ndarray:
    """What the shift alone adds: `[out, h, w]`, as padding stays 0, or `[out]`."""
    if not train.shift.any():
        return np.zeros((), dtype=np.int64)
    x = torch.from_numpy(np.broadcast_to(_per_channel(train, shape), shape).astype(np.float64))
    w = torch.from_numpy(weight.astype(np.float64))
    # float64 holds these: `exact_dtype` would refuse sums from 2⁵³ in the twin.
    if not synapse.is_conv:
        return (w @ x.flatten()).numpy().astype(np.int64)
    found = F.conv2d(
        x[None],
        w,
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
    )
    return found[0].numpy().astype(np.int64)


def _per_channel(train: Train, shape: tuple[int, ...]) -> np.ndarray:
    """The shift, to be added to `[B, *shape]`."""
    return train.shift.reshape(-1, *(1,) * (len(shape) - 1))


def _check_products(synapse: Synapse, train: Train, *, largest: int) -> None:
    """With delays and a shift, Lava wraps each product in 32 bits: no operator does that."""
    is_wrapping = not synapse.is_conv and synapse.is_delayed and synapse.shift > 0
    if is_wrapping and largest * max(-train.low, train.high) >= INT32:
        raise RangeError(
            f"expected products below 2^31 in the delayed synapse {synapse.label}, got up to "
            f"{largest * max(-train.low, train.high)}; use smaller weights or payloads"
        )


def _wrapped_conv(scope: Scope, total: Whole) -> Whole:
    """`fixed_point.convolved_activation`: 0 beyond 32 bits, else modulo 2²⁴."""
    if total.peak >= INT32:
        # |x| < 2³¹ leaves out −2³¹ itself, which the modulo makes 0 anyway.
        inside = scope.add(
            "Less", scope.add("Abs", total.name), scope.constant(np.array(INT32, np.int64))
        )
        zero = whole.constant(scope, np.zeros((), dtype=np.int64))
        total = whole.chosen(scope, inside, total, zero)
    return whole.wrapped(scope, total, STATE_MAX.bit_length())
