"""Batch norm into the linear layers before it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from ..core.errors import UnsupportedNodeError
from .graph import Conv, Dense, Graph, Norm


def fold_norms(graph: Graph) -> Graph:
    """The same function without batch norm.

        gain·(W·x + b) + shift = (gain·W)·x + (gain·b + shift)

    A norm of a sum is folded into every summand, the shift into one of them. A layer that also
    feeds something else is copied, scaled, for the norm.

    Raises:
        UnsupportedNodeError: If something other than a convolution or a dense layer feeds a norm.
    """
    for name in graph.names(Norm):
        graph = _fold(graph, name)
    return graph


def _fold(graph: Graph, name: str) -> Graph:
    norm = graph.nodes[name]
    assert isinstance(norm, Norm)
    shift = norm.shift
    for source in graph.before(name):
        linear = graph.nodes.get(source)
        if not isinstance(linear, Conv | Dense):
            raise UnsupportedNodeError(
                f"expected a convolution or a dense layer before batch norm {name!r}, got "
                f"{source!r} ({graph.kind(source)}); put the norm right after a linear layer"
            )
        graph, own = own_copy(graph, source, name)
        graph = graph.with_node(own, scaled(linear, norm.gain, shift))
        shift = np.zeros_like(shift)
    return graph.bridged(name)


def own_copy(graph: Graph, source: str, name: str) -> tuple[Graph, str]:
    """The graph where a node feeds only `name`, and that node: itself, or a copy."""
    if graph.after(source) == [name]:
        return graph, source
    copy = f"{source}_{name}"
    edges = [(copy, name) if edge == (source, name) else edge for edge in graph.edges]
    edges += [(before, copy) for before in graph.before(source)]
    return replace(graph, edges=tuple(edges)), copy


def scaled(
    linear: Conv | Dense, gain: Float64[np.ndarray, " out"], shift: Float64[np.ndarray, " out"]
) -> Conv | Dense:
    """gain·linear + shift, per output channel."""
    factor = gain.reshape(-1, *(1,) * (linear.weight.ndim - 1))
    return replace(linear, weight=linear.weight * factor, bias=linear.bias * gain + shift)
