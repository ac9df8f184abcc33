"""NIR's maps without memory as ONNX nodes: one function a node type, in float32."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import nir
import numpy as np

from ..sim.graph.layers import Shape
from .onnx_scope import Scope, Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where a node stands: its parameters, and the shapes before and after it, without batch.

    `flattened` is the shape of the maps whose flatten it reads, where it reads one.
    """

    fields: Mapping[str, Any]
    before: Shape
    after: Shape
    flattened: Shape | None = None

    def array(self, field: str) -> np.ndarray:
        """A parameter in float32."""
        return np.asarray(self.fields[field], dtype=np.float32)

    @property
    def has_bias(self) -> bool:
        """Whether the node adds one."""
        return self.fields.get("bias") is not None

    def pair(self, field: str) -> list[int]:
        """A parameter as one whole number for each axis of the map."""
        axes = len(self.before) - 1
        value = np.asarray(self.fields[field]).reshape(-1)
        return [int(number) for number in np.broadcast_to(value, (axes,))]


def affine(scope: Scope, place: Place, x: Value) -> Value:
    """W·x + b, on `[B, in]`; of a pool and a matrix where it is both."""
    weight = np.asarray(place.fields["weight"], dtype=np.float64)
    if place.flattened is not None and len(place.flattened) == 3:
        maps = weight.reshape(len(weight), *place.flattened)
        window = _largest(maps, [[n] for n in place.flattened[1:]])
        if any(window):
            x = _pooled(
                scope, scope.add("Reshape", x, scope.integers(-1, *place.flattened)), window
            )
            weight = _unpooled(maps, window).reshape(len(weight), -1)
            x = scope.add("Reshape", x, scope.integers(-1, weight.shape[1]))
    product = scope.add("MatMul", x, scope.constant(weight.T.astype(np.float32)))
    return _biased(scope, place, product)


def scale(scope: Scope, place: Place, x: Value) -> Value:
    """A factor for each value."""
    return scope.add("Mul", x, scope.constant(place.array("scale")))


def conv(scope: Scope, place: Place, x: Value) -> Value:
    """A convolution over one or two axes; of a pool and a convolution where it is both."""
    weight = np.asarray(place.fields["weight"], dtype=np.float64)
    stride, dilation = place.pair("stride"), place.pair("dilation")
    pads = _pads(place, weight.shape[2:])
    if any(window := _windows(weight, place, pads)):
        x, weight = _pooled(scope, x, window), _unpooled(weight, window)
        stride = [n // k for n, k in zip(stride, window, strict=True)]
        pads = [n // k for n, k in zip(pads, window * 2, strict=True)]
    more = [scope.constant(place.array("bias"))] if place.has_bias else []
    return scope.add(
        "Conv",
        x,
        scope.constant(weight.astype(np.float32)),
        *more,
        kernel_shape=list(weight.shape[2:]),
        strides=stride,
        dilations=dilation,
        group=int(np.asarray(place.fields["groups"])),
        pads=pads,
    )


def _windows(weight: np.ndarray, place: Place, pads: list[int]) -> list[int]:
    """The pool that was merged into a convolution (`pool.merge_pools`), as it costs k² times less.

    Its window, where each weight is repeated over one, and windows tile map, stride and padding;
    zeros where there is none.
    """
    if weight.ndim != 4 or max(place.pair("dilation")) > 1:
        return [0, 0]
    sizes = [
        (weight.shape[2 + axis], place.before[1 + axis], place.pair("stride")[axis], *pads[axis::2])
        for axis in (0, 1)
    ]
    return _largest(weight, sizes)


def _largest(weight: np.ndarray, sizes: Sequence[Sequence[int]]) -> list[int]:
    """The largest window, tiling all `sizes` of each axis, over which weights repeat; or zeros."""
    most = [math.gcd(*each) for each in sizes]
    for window in sorted(product(*(range(1, n + 1) for n in most)), key=math.prod, reverse=True):
        tiles = all(n % k == 0 for k, each in zip(window, sizes, strict=True) for n in each)
        if math.prod(window) > 1 and tiles and _repeats(weight, window):
            return list(window)
    return [0, 0]


def _repeats(weight: np.ndarray, window: Sequence[int]) -> bool:
    kept = weight[:, :, :: window[0], :: window[1]]
    return all(
        np.array_equal(kept, weight[:, :, row :: window[0], column :: window[1]])
        for row, column in product(range(window[0]), range(window[1]))
    )


def _pooled(scope: Scope, x: Value, window: list[int]) -> Value:
    return scope.add("AveragePool", x, kernel_shape=window, strides=window)


def _unpooled(weight: np.ndarray, window: list[int]) -> np.ndarray:
    """What weights behind the pool are, if these hold it."""
    return weight[:, :, :: window[0], :: window[1]] * np.prod(window)


def sum_pool(scope: Scope, place: Place, x: Value) -> Value:
    """Sums of windows: a convolution with ones, channel by channel, as padding counts as 0."""
    kernel, padding, channels = place.pair("kernel_size"), place.pair("padding"), place.before[0]
    ones = scope.constant(np.ones((channels, 1, *kernel), dtype=np.float32))
    return scope.add(
        "Conv",
        x,
        ones,
        kernel_shape=kernel,
        strides=place.pair("stride"),
        pads=[*padding, *padding],
        group=channels,
    )


def average_pool(scope: Scope, place: Place, x: Value) -> Value:
    """Means of windows, padding included."""
    area = np.array(np.prod(place.pair("kernel_size")), dtype=np.float32)
    return scope.add("Div", sum_pool(scope, place, x), scope.constant(area))


def flatten(scope: Scope, place: Place, x: Value) -> Value:
    """Axes merged."""
    return scope.add("Reshape", x, scope.integers(-1, *place.after))


LINEAR: dict[type[nir.NIRNode], Callable[[Scope, Place, Value], Value]] = {
    nir.Affine: affine,
    nir.Linear: affine,
    nir.Scale: scale,
    nir.Conv1d: conv,
    nir.Conv2d: conv,
    nir.SumPool2d: sum_pool,
    nir.AvgPool2d: average_pool,
    nir.Flatten: flatten,
}


def _biased(scope: Scope, place: Place, x: Value) -> Value:
    if not place.has_bias:
        return x
    return scope.add("Add", x, scope.constant(place.array("bias")))


def _pads(place: Place, kernel: tuple[int, ...]) -> list[int]:
    """Padding before and behind each axis; "same" puts an odd zero behind, as torch does."""
    padding = place.fields["padding"]
    word = padding.decode() if isinstance(padding, bytes) else padding
    if not isinstance(word, str):
        zeros = place.pair("padding")
        return [*zeros, *zeros]
    if word == "valid":
        return [0] * (2 * len(kernel))
    totals = [d * (k - 1) for d, k in zip(place.pair("dilation"), kernel, strict=True)]
    return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]
