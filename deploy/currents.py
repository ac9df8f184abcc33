"""What reaches each node of a NIR graph: linear maps of spikes and of the input, and a constant.

Between two populations a graph may sum, branch, pool, scale and convolve as it likes. All of it is
linear, so what arrives is one map from every population that some path leads from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import nir
import numpy as np
from jaxtyping import Float

from ..core.errors import UnsupportedNodeError
from ..export.compose import compose
from ..export.linear_map import (
    Conv,
    Dense,
    LinearMap,
    Pair,
    Same,
    Shape,
    added,
    chip_shape,
    depthwise,
    through,
)
from ..sim.graph.layers import DelayLayer, LinearLayer
from ..sim.graph.network import NirNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class Current:
    """Σ maps of their sources + bias.

    Args:
        maps: Per source (a population or the input) one map, or several of different geometry.
        bias: One value a channel or neuron.
    """

    maps: tuple[tuple[str, LinearMap], ...]
    bias: Float[np.ndarray, " C"]


def currents(network: NirNetwork, graph: nir.NIRGraph) -> dict[str, Current]:
    """What arrives at each node that has neurons or is read, and what each linear node sends.

    Returns:
        For neurons what they integrate, for linear nodes what they emit, by name.

    Raises:
        UnsupportedNodeError: If a path is not one exact map.
    """
    found: dict[str, Current] = {}
    for name, layer in network.layers.items():
        arriving = _summed([_emitted(network, found, source) for source in network.sources[name]])
        if arriving is not None:
            is_linear = isinstance(layer, LinearLayer)
            found[name] = _applied(graph, network, name, arriving) if is_linear else arriving
    return found


def _emitted(network: NirNetwork, found: Mapping[str, Current], name: str) -> Current:
    """What a node sends: its current if it is linear, else its own spikes or payload."""
    layer = network.layers[name]
    if isinstance(layer, LinearLayer | DelayLayer):
        return found[name]  # a delay of no steps
    shape = chip_shape(network.input_shape if layer is None else layer.shape)
    return Current(maps=((name, Same(before=shape, after=shape)),), bias=np.zeros(shape[0]))


def _summed(parts: list[Current]) -> Current | None:
    """The sum; maps of one source and one geometry become one."""
    if not parts:
        return None
    total = list(parts[0].maps)
    for source, linear in (pair for part in parts[1:] for pair in part.maps):
        _add(total, source, linear)
    return Current(maps=tuple(total), bias=np.sum([part.bias for part in parts], axis=0))


def _add(total: list[tuple[str, LinearMap]], source: str, linear: LinearMap) -> None:
    for index, (other, present) in enumerate(total):
        both = added(present, linear) if other == source else None
        if both is not None:
            total[index] = source, both
            return
    total.append((source, linear))


def _applied(graph: nir.NIRGraph, network: NirNetwork, name: str, arriving: Current) -> Current:
    """A linear node's output."""
    node, before = graph.nodes[name], _shape_before(network, name)
    layer = network.layers[name]
    assert layer is not None
    after = chip_shape(layer.shape)
    try:
        convert = MAPS[type(node)]
    except KeyError:
        known = ", ".join(kind.__name__ for kind in MAPS)
        raise UnsupportedNodeError(
            f"expected node {name!r} to be one of {known}, got {type(node).__name__}; a chip has "
            f"no such connection"
        ) from None
    linear = convert(node, before, after, name)
    total: list[tuple[str, LinearMap]] = []
    for source, path in arriving.maps:
        _add(total, source, compose(path, linear, name=name))
    bias = through(linear, arriving.bias, name=name) + _bias(node, after)
    return Current(maps=tuple(total), bias=bias)


def _shape_before(network: NirNetwork, name: str) -> Shape:
    source = network.layers[network.sources[name][0]]
    return chip_shape(network.input_shape if source is None else source.shape)


def _bias(node: nir.NIRNode, after: Shape) -> np.ndarray:
    bias = getattr(node, "bias", None)
    zeros = np.zeros(after[0])
    return zeros if bias is None else zeros + np.asarray(bias, dtype=np.float64).reshape(-1)


def _dense(node: nir.Affine | nir.Linear, before: Shape, after: Shape, name: str) -> Dense:
    del name
    return Dense(before=before, after=after, weight=np.asarray(node.weight, dtype=np.float64))


def _conv(node: nir.Conv2d, before: Shape, after: Shape, name: str) -> Conv:
    del name
    return _padded(node, np.asarray(node.weight, dtype=np.float64), before, after, _pair)


def _conv1d(node: nir.Conv1d, before: Shape, after: Shape, name: str) -> Conv:
    """Along the width of a map of height 1."""
    del name
    weight = np.asarray(node.weight, dtype=np.float64)[:, :, None, :]
    return _padded(node, weight, before, after, _beside)


def _padded(
    node: nir.Conv1d | nir.Conv2d,
    weight: np.ndarray,
    before: Shape,
    after: Shape,
    pair: Callable[..., Pair],
) -> Conv:
    """A convolution with its padding in numbers, as many zeros on each side."""
    conv = Conv(
        before=before,
        after=after,
        weight=weight,
        stride=pair(node.stride, 1),
        dilation=pair(node.dilation, 1),
        groups=int(node.groups),
    )
    padding = node.padding
    if not isinstance(padding, str | bytes):
        return replace(conv, padding=pair(padding, 0))
    text = padding.decode() if isinstance(padding, bytes) else padding
    return conv if text == "valid" else _same_size(conv)


def _same_size(conv: Conv) -> Conv:
    """Padding that keeps the size: one zero more behind than before where the sum is odd.

    A kernel with a row of zeros before its first needs as many before as behind.
    """
    odd = [reach % 2 for reach in conv.reach]
    if any(odd):
        kernel = np.pad(conv.spread(), ((0, 0), (0, 0), (odd[0], 0), (odd[1], 0)))
        conv = replace(conv, weight=kernel, dilation=(1, 1))
    height, width = conv.reach
    return replace(conv, padding=(height // 2, width // 2))


def _pool(node: nir.SumPool2d | nir.AvgPool2d, before: Shape, after: Shape, name: str) -> Conv:
    """Every window's sum or mean, padding counted as zeros."""
    del name
    kernel, padding = _pair(node.kernel_size), _pair(node.padding)
    share = 1.0 if isinstance(node, nir.SumPool2d) else 1.0 / (kernel[0] * kernel[1])
    return Conv(
        before=before,
        after=after,
        weight=np.full((before[0], 1, *kernel), share),
        stride=_pair(node.stride),
        padding=padding,
        groups=before[0],
    )


def _scale(node: nir.Scale, before: Shape, after: Shape, name: str) -> LinearMap:
    """One factor a channel of a map, one a neuron of a vector."""
    scale = np.asarray(node.scale, dtype=np.float64)
    factor = np.broadcast_to(scale if scale.size == 1 else scale.reshape(before), before)
    by_channel = factor.reshape(before[0], -1)
    if (by_channel != by_channel[:, :1]).any():
        raise UnsupportedNodeError(
            f"expected one factor a channel in node {name!r} (Scale), got one a neuron; "
            f"convolutions share weights over the map, merge it into the layer before"
        )
    if len(before) == 1:
        return Dense(before=before, after=after, weight=np.diag(factor))
    return depthwise(before, by_channel[:, :1].reshape(-1, 1, 1, 1))


def _flatten(node: nir.Flatten, before: Shape, after: Shape, name: str) -> Same:
    del node
    if len(after) != 1 and before != after:
        raise UnsupportedNodeError(
            f"expected node {name!r} (Flatten) to make a vector of {before}, got {after}; flatten "
            f"all axes"
        )
    return Same(before=before, after=after)


def _pair(value: object, rest: int = 0) -> Pair:
    """Rows and columns; one number stands for both."""
    del rest
    numbers = np.broadcast_to(np.asarray(value).reshape(-1), (2,))
    return int(numbers[0]), int(numbers[1])


def _beside(value: object, rest: int) -> Pair:
    """One number for the columns, `rest` for the rows."""
    return rest, int(np.asarray(value).reshape(-1)[0])


MAPS: dict[type[nir.NIRNode], Callable[..., LinearMap]] = {
    nir.Affine: _dense,
    nir.Linear: _dense,
    nir.Conv1d: _conv1d,
    nir.Conv2d: _conv,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Scale: _scale,
    nir.Flatten: _flatten,
}
