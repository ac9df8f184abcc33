"""Two linear maps in a row as one, where that is exact, borders included."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from ..core.errors import UnsupportedNodeError
from .linear_map import Conv, Dense, LinearMap, Pair, Same, Shape


def compose(first: LinearMap, second: LinearMap, *, name: str) -> LinearMap:
    """`second` after `first` as one map.

    Args:
        first: What is applied first.
        second: What is applied to its result.
        name: Of the node that `second` is, for the message.

    Raises:
        UnsupportedNodeError: If no single map computes the same, borders included.
    """
    return COMPOSE[type(first), type(second)](first, second, name)


def _after_same(first: Same, second: LinearMap, name: str) -> LinearMap:
    """What follows reads the source itself, flattened or not: only a dense map can be either."""
    del name
    return replace(second, before=first.before)


def _before_same(first: LinearMap, second: Same, name: str) -> LinearMap:
    del name
    return replace(first, after=second.after)


def _dense_dense(first: Dense, second: Dense, name: str) -> Dense:
    del name
    return Dense(before=first.before, after=second.after, weight=second.weight @ first.weight)


def _conv_dense(first: Conv, second: Dense, name: str) -> Dense:
    """A dense map is a convolution with a kernel as large as its input."""
    channels, height, width = first.map_shape
    whole = Conv(
        before=first.map_shape,
        after=(len(second.weight), 1, 1),
        weight=second.weight.reshape(-1, channels, height, width),
    )
    wide = _conv_conv(first, whole, name)
    weight = _on_map(wide.ungrouped().weight, wide.padding, first.before[1:])
    return Dense(before=first.before, after=second.after, weight=weight.reshape(len(weight), -1))


def _on_map(weight: np.ndarray, padding: Pair, size: Shape) -> np.ndarray:
    """A kernel over the padded map, cut or filled with zeros to cover just the map."""
    covered = weight[:, :, padding[0] :, padding[1] :][:, :, : size[0], : size[1]]
    missing = [(0, n - m) for n, m in zip(size, covered.shape[2:], strict=True)]
    return np.pad(covered, ((0, 0), (0, 0), *missing))


def _conv_conv(first: Conv, second: Conv, name: str) -> Conv:
    _check_border(first, second, name)
    strides = zip(first.stride, second.stride, strict=True)
    paddings = zip(first.padding, second.padding, first.stride, strict=True)
    weight, dilation, groups = _kernel(first, second)
    conv = Conv(
        before=first.before,
        after=second.after,
        weight=weight,
        stride=_pair(a * b for a, b in strides),
        padding=_pair(p + q * s for p, q, s in paddings),
        dilation=dilation,
        groups=groups,
    )
    assert conv.map_shape == second.map_shape
    return conv


def _check_border(first: Conv, second: Conv, name: str) -> None:
    """Padding between the two must be what the first makes of zeros around its own input."""
    for axis in range(2):
        size, stride, inner = first.before[1 + axis], first.stride[axis], first.padding[axis]
        sees_nothing_before = first.reach[axis] < stride + inner
        sees_nothing_behind = first.map_shape[1 + axis] * stride - inner >= size
        if second.padding[axis] and not (sees_nothing_before and sees_nothing_behind):
            raise UnsupportedNodeError(
                f"expected no padding at node {name!r} behind another linear node, got "
                f"{second.padding}; what that node leaves at the border is not zero, put neurons "
                f"between them"
            )


def _kernel(first: Conv, second: Conv) -> tuple[np.ndarray, Pair, int]:
    """Weights, dilation and groups of both in a row: each weight of the second places a kernel."""
    join, inputs, groups = _joiner(first, second)
    rows, columns = (
        (k - 1) * d * s
        for k, d, s in zip(second.weight.shape[2:], second.dilation, first.stride, strict=True)
    )
    tall, wide = first.reach
    total = np.zeros((len(second.weight), inputs, rows + tall + 1, columns + wide + 1))
    for place in np.ndindex(*second.weight.shape[2:]):
        row, column = (
            n * d * s for n, d, s in zip(place, second.dilation, first.stride, strict=True)
        )
        total[:, :, row : row + tall + 1, column : column + wide + 1] += join(*place)
    step = _step(first, second)
    return total[:, :, :: step[0], :: step[1]], step, groups


def _joiner(first: Conv, second: Conv) -> tuple[Callable[[int, int], np.ndarray], int, int]:
    """What one weight of the second makes of the first's kernel; input channels and groups."""
    if first.is_depthwise:  # pools and scales keep the groups of what follows
        outputs, inputs = second.weight.shape[:2]
        group = np.arange(outputs) // (outputs // second.groups)
        near = first.spread()[group[:, None] * inputs + np.arange(inputs), 0]
        return lambda *at: second.weight[:, :, *at, None, None] * near, inputs, second.groups
    near, far = first.ungrouped().spread(), second.ungrouped().weight
    return lambda *at: np.einsum("om,mihw->oihw", far[:, :, *at], near), near.shape[1], 1


def _step(first: Conv, second: Conv) -> Pair:
    """The dilation that is left: all else is written out with zeros."""
    if first.is_point:
        return _pair(d * s for d, s in zip(second.dilation, first.stride, strict=True))
    return first.dilation if second.is_point else (1, 1)


def _pair(numbers: Iterable[int]) -> Pair:
    height, width = numbers
    return height, width


COMPOSE: dict[tuple[type, type], Callable[..., LinearMap]] = {
    (Same, Same): _after_same,
    (Same, Dense): _after_same,
    (Same, Conv): _after_same,
    (Dense, Same): _before_same,
    (Conv, Same): _before_same,
    (Dense, Dense): _dense_dense,
    (Conv, Dense): _conv_dense,
    (Conv, Conv): _conv_conv,
}
