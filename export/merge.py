"""Linear nodes in a row as one: pools into what follows them, and matrices and convolutions."""

from dataclasses import replace

import numpy as np

from ..core.errors import UnsupportedNodeError
from . import linear_map
from .compose import compose
from .graph import Conv, Dense, Flatten, Graph, Pool, Shape
from .linear_map import LinearMap, Same, through
from .readers import linear_readers


def merge_pools(graph: Graph) -> Graph:
    """The same function without pools.

    A pool is a convolution of each channel alone; it and a convolution after it are one: a pool of
    k×k and then a kernel K (stride s, padding p) are a kernel k·K (stride k·s, padding k·p) where
    windows lie side by side. Before a dense layer each weight is repeated over its window.

    Raises:
        UnsupportedNodeError: If a pool does not feed linear layers alone, or hangs over its map, or
            if what the next layer pads is not what the pool makes of zeros around its map.
    """
    # From the output side, so that a pool before a pool finds a linear layer after it.
    for name in reversed(graph.names(Pool)):
        graph = _merge_pool(graph, name)
    return graph


def merge_linears(graph: Graph) -> Graph:
    """The same function with fewer linear nodes.

    A linear node that alone feeds another, and nothing else, becomes part of it. Where no one node
    computes the same (a bias before padding, say), both stay: that is exact, too.
    """
    for name in graph.order():
        source = _only_source(graph, name)
        if source is not None:
            graph = _merged(graph, source, name)
    return graph


def _merge_pool(graph: Graph, name: str) -> Graph:
    pool, shapes = graph.nodes[name], graph.shapes()
    assert isinstance(pool, Pool)
    (source,) = graph.before(name)
    _check_whole(name, pool, shapes[source])
    channels = shapes[source][0]
    first = linear_map.Conv(
        before=shapes[source],
        after=shapes[name],
        weight=np.full((channels, 1, *pool.kernel), pool.factor),
        stride=pool.step,
        padding=pool.padding,
        groups=channels,
    )
    readers = linear_readers(
        graph,
        name,
        what=f"pool {name!r}",
        why=f"pool {name!r} can merge into it",
        advice="put the pool right before a linear layer",
    )
    for reader in readers:
        node = graph.nodes[reader]
        assert isinstance(node, Conv | Dense)
        graph = graph.with_node(reader, _joined(first, node, shapes, reader, bias=node.bias))
    return graph.bridged(name)


def _check_whole(name: str, pool: Pool, shape: Shape) -> None:
    """Refuses windows that end outside: what they average over depends on where they are."""
    if len(shape) != 3:
        raise UnsupportedNodeError(
            f"expected maps before pool {name!r}, got {shape}; pool before you flatten"
        )
    if pool.ceil and pool.shape(shape) != replace(pool, ceil=False).shape(shape):
        raise UnsupportedNodeError(
            f"expected maps that pool {name!r} of {pool.kernel} covers without ceil_mode, got "
            f"{shape}; crop or pad the images so that no window hangs over"
        )


def _only_source(graph: Graph, name: str) -> str | None:
    """The linear node that alone feeds a linear node, a flatten between them or not."""
    if not isinstance(graph.nodes.get(name), Conv | Dense):
        return None
    before = name
    while len(graph.before(before)) == 1:
        (before,) = graph.before(before)
        node = graph.nodes.get(before)
        if len(graph.after(before)) != 1 or not isinstance(node, Conv | Dense | Flatten):
            return None
        if not isinstance(node, Flatten):
            return before
    return None


def _merged(graph: Graph, source: str, name: str) -> Graph:
    shapes, inner, outer = graph.shapes(), graph.nodes[source], graph.nodes[name]
    assert isinstance(inner, Conv | Dense)
    assert isinstance(outer, Conv | Dense)
    first = _as_map(inner, shapes[graph.before(source)[0]], shapes[source])
    try:
        bias = through(_as_map(outer, first.after, shapes[name]), inner.bias, name=name)
        merged = _joined(first, outer, shapes, name, bias=bias + outer.bias)
    except UnsupportedNodeError:
        return graph
    return graph.with_node(name, merged).bridged(source)


def _joined(
    first: LinearMap,
    second: Conv | Dense,
    shapes: dict[str, Shape],
    name: str,
    *,
    bias: np.ndarray,
) -> Conv | Dense:
    """`second`, the node `name`, after `first`, flattened where a matrix reads it."""
    if isinstance(second, Dense) and len(first.after) > 1:
        flat = Same(before=first.after, after=(int(np.prod(first.after)),))
        first = compose(first, flat, name=name)
    return _as_node(compose(first, _as_map(second, first.after, shapes[name]), name=name), bias)


def _as_map(node: Conv | Dense, before: Shape, after: Shape) -> linear_map.Conv | linear_map.Dense:
    if isinstance(node, Dense):
        return linear_map.Dense(before=before, after=after, weight=node.weight)
    geometry = {key: getattr(node, key) for key in ("stride", "padding", "dilation", "groups")}
    return linear_map.Conv(before=before, after=after, weight=node.weight, **geometry)


def _as_node(merged: LinearMap, bias: np.ndarray) -> Conv | Dense:
    if isinstance(merged, linear_map.Dense):
        return Dense(weight=merged.weight, bias=bias)
    assert isinstance(merged, linear_map.Conv)
    geometry = {key: getattr(merged, key) for key in ("stride", "padding", "dilation", "groups")}
    return Conv(weight=merged.weight, bias=bias, **geometry)
