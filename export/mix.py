"""Weighted residual sums into the linear layers before them."""

from dataclasses import replace

import numpy as np

from ..core.errors import UnsupportedNodeError
from .fold import own_copy, scaled
from .graph import Conv, Dense, Graph, Mix


def fold_mixes(graph: Graph) -> Graph:
    """The same function without weighted sums: each summand carries its weight.

    A layer that also feeds something else is copied, scaled, for the sum. The sum of a sum has the
    layers of both as summands.

    Raises:
        UnsupportedNodeError: If something other than a convolution or a dense layer feeds a sum.
    """
    for name in graph.names(Mix):
        graph = _fold(graph, name)
    return graph


def _fold(graph: Graph, name: str) -> Graph:
    mix, owned = graph.nodes[name], []
    assert isinstance(mix, Mix)
    for source in graph.before(name):
        linear = graph.nodes.get(source)
        if not isinstance(linear, Conv | Dense):
            raise UnsupportedNodeError(
                f"expected a convolution or a dense layer before the weighted sum {name!r}, got "
                f"{source!r} ({graph.kind(source)}); put a linear layer before it"
            )
        graph, own = own_copy(graph, source, name)
        gain, shift = (np.full(len(linear.bias), value) for value in (mix.weights[source], 0.0))
        graph = graph.with_node(own, scaled(linear, gain, shift))
        owned.append(own)
    for reader in graph.after(name):
        graph = _renamed(graph, reader, name, owned)
    return graph.bridged(name)


def _renamed(graph: Graph, reader: str, name: str, owned: list[str]) -> Graph:
    """A weighted sum of a sum gives its weight to each of that sum's summands."""
    node = graph.nodes.get(reader)
    if not isinstance(node, Mix):
        return graph
    weights = {**node.weights, **dict.fromkeys(owned, node.weights[name])}
    return graph.with_node(reader, replace(node, weights=weights))
