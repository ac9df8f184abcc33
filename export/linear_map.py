"""Linear maps between populations.

A chip has one kind of connection: weights from a population to another. What a graph does in
several linear steps (pool, scale, convolve, flatten, multiply) has to become one map.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ..core.errors import UnsupportedNodeError

Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Same:
    """Each value as it is; a map `(C, H, W)` may leave as a vector in the order C, H, W."""

    before: Shape
    after: Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """y = W·x on a vector, or on a map in the order C, H, W."""

    before: Shape
    after: Shape
    weight: Float[np.ndarray, "out in"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """Zero-padded cross-correlation of a map; `after` may be the flattened result."""

    before: Shape
    after: Shape
    weight: Float[np.ndarray, "out in h w"]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def map_shape(self) -> Shape:
        """Shape of the result before it is flattened."""
        terms = zip(self.before[1:], self.padding, self.reach, self.stride, strict=True)
        return (len(self.weight), *((n + 2 * p - r - 1) // s + 1 for n, p, r, s in terms))

    @property
    def reach(self) -> Pair:
        """How far the kernel's last weight is from its first, in rows and columns."""
        height, width = (
            d * (k - 1) for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)
        )
        return height, width

    @property
    def geometry(self) -> tuple[object, ...]:
        """Convolutions that agree in this, and in what they join, add up weight by weight."""
        return (self.weight.shape, self.stride, self.padding, self.dilation, self.groups)

    @property
    def is_point(self) -> bool:
        """Whether the kernel is 1x1."""
        return self.weight.shape[2:] == (1, 1)

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel becomes one channel."""
        return self.groups == self.before[0] == len(self.weight)

    def ungrouped(self) -> "Conv":
        """The same without groups: zeros where they do not touch."""
        if self.groups == 1:
            return self
        outputs, inputs, *kernel = self.weight.shape
        weight = np.zeros((outputs, inputs * self.groups, *kernel))
        for group, rows in enumerate(np.split(np.arange(outputs), self.groups)):
            weight[rows, group * inputs : (group + 1) * inputs] = self.weight[rows]
        return replace(self, weight=weight, groups=1)

    def spread(self) -> Float[np.ndarray, "out in tall wide"]:
        """The kernel with zeros in the gaps of its dilation."""
        tall, wide = self.reach
        kernel = np.zeros((*self.weight.shape[:2], tall + 1, wide + 1))
        kernel[:, :, :: self.dilation[0], :: self.dilation[1]] = self.weight
        return kernel


LinearMap = Same | Dense | Conv


def chip_shape(shape: Shape) -> Shape:
    """`(C, H, W)` or `(N,)`: a row `(C, L)` is a map of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def added(first: LinearMap, second: LinearMap) -> LinearMap | None:
    """The sum of two maps of one source as one map; None where they are of different kinds."""
    if isinstance(first, Dense) and isinstance(second, Dense):
        return replace(first, weight=first.weight + second.weight)
    if isinstance(first, Conv) and isinstance(second, Conv) and first.geometry == second.geometry:
        return replace(first, weight=first.weight + second.weight)
    return None


def explicit(same: Same, *, name: str) -> Conv | Dense:
    """The identity with weights: a 1x1 convolution of every channel alone, or a unit matrix.

    Raises:
        UnsupportedNodeError: If it turns a map into a vector.
    """
    if same.before != same.after:
        raise UnsupportedNodeError(
            f"expected a dense layer between maps {same.before} and the vector of node {name!r}, "
            f"got a flatten alone; flatten behind the neurons"
        )
    if len(same.before) == 1:
        return Dense(before=same.before, after=same.after, weight=np.eye(same.before[0]))
    return depthwise(same.before, np.ones((same.before[0], 1, 1, 1)))


def depthwise(before: Shape, weight: Float[np.ndarray, "C 1 h w"], stride: Pair = (1, 1)) -> Conv:
    """A convolution of each channel by itself, without padding."""
    conv = Conv(before=before, after=(), weight=weight, stride=stride, groups=before[0])
    return replace(conv, after=conv.map_shape)


def through(linear: LinearMap, bias: Float[np.ndarray, " C"], *, name: str) -> np.ndarray:
    """What a constant per channel becomes, per channel.

    Raises:
        UnsupportedNodeError: If zero padding makes it differ at the border.
    """
    if not bias.any():
        return np.zeros(linear.after[0])
    if isinstance(linear, Same):
        return np.repeat(bias, linear.after[0] // len(bias))
    if isinstance(linear, Dense):
        return linear.weight @ np.repeat(bias, linear.weight.shape[1] // len(bias))
    if max(linear.padding):
        raise UnsupportedNodeError(
            f"expected no bias before the padded convolution {name!r}, got one; its border would "
            f"need another bias than its middle, merge the two layers"
        )
    per_input = linear.ungrouped().weight.sum(axis=(2, 3)) @ bias
    places = int(np.prod(linear.after)) // len(per_input) if len(linear.after) == 1 else 1
    return np.repeat(per_input, places)
