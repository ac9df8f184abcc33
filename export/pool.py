"""Average and sum pooling into the linear layers after it: chips have synapses and no pools."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from ..core.errors import UnsupportedNodeError
from .graph import Conv, Dense, Graph, Pool, Shape
from .readers import linear_readers


def merge_pools(graph: Graph) -> Graph:
    """The same function without pools.

    A pool of k×k and then a convolution (kernel K, stride s, padding p) is one convolution (kernel
    k·K, stride k·s, padding k·p) that repeats each weight over its window: zero padding of the
    pooled map is zero padding of whole windows. Before a dense layer each weight is repeated
    likewise.

    Raises:
        UnsupportedNodeError: If a pool does not tile its map, or does not feed linear layers alone.
    """
    # From the output side, so that a pool before a pool finds a linear layer after it.
    for name in reversed(graph.names(Pool)):
        graph = _merge(graph, name)
    return graph


def _merge(graph: Graph, name: str) -> Graph:
    pool, shapes = graph.nodes[name], graph.shapes()
    assert isinstance(pool, Pool)
    source = graph.before(name)[0]
    _check_tiles(name, pool, shapes[source])
    readers = linear_readers(
        graph,
        name,
        what=f"pool {name!r}",
        why=f"pool {name!r} can merge into it",
        advice="put the pool right before a linear layer",
    )
    for reader in readers:
        node = graph.nodes[reader]
        if isinstance(node, Conv):
            merged = _merge_conv(pool, node)
        else:
            assert isinstance(node, Dense)
            merged = replace(node, weight=_merge_dense(pool, node.weight, shapes[name]))
        graph = graph.with_node(reader, merged)
    return graph.bridged(name)


def _check_tiles(name: str, pool: Pool, shape: Shape) -> None:
    if len(shape) != 3 or shape[1] % pool.kernel[0] or shape[2] % pool.kernel[1]:
        raise UnsupportedNodeError(
            f"expected maps that pool {name!r} of {pool.kernel} tiles, got {shape}; "
            "crop or pad the images so that nothing is left over"
        )


def _merge_conv(pool: Pool, conv: Conv) -> Conv:
    (kh, kw), (sh, sw), (ph, pw) = pool.kernel, conv.stride, conv.padding
    weight = _windows(_without_gaps(conv.weight, conv.dilation), pool)
    return replace(
        conv, weight=weight, stride=(kh * sh, kw * sw), padding=(kh * ph, kw * pw), dilation=(1, 1)
    )


def _merge_dense(
    pool: Pool, weight: Float64[np.ndarray, "out in"], pooled: Shape
) -> Float64[np.ndarray, "out wider"]:
    """The weight on the flattened map before the pool; `pooled` is the map's shape after it."""
    maps = weight.reshape(len(weight), *pooled)
    return _windows(maps, pool).reshape(len(weight), -1)


def _windows(
    weight: Float64[np.ndarray, "out in h w"], pool: Pool
) -> Float64[np.ndarray, "out in hk wk"]:
    """Each weight over the window it was pooled from."""
    return (weight * pool.factor).repeat(pool.kernel[0], 2).repeat(pool.kernel[1], 3)


def _without_gaps(
    weight: Float64[np.ndarray, "out in h w"], dilation: tuple[int, int]
) -> Float64[np.ndarray, "out in dh dw"]:
    """A dilated kernel as a dense one with zeros in its gaps."""
    height, width = ((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    wide = np.zeros((*weight.shape[:2], height, width))
    wide[:, :, :: dilation[0], :: dilation[1]] = weight
    return wide
