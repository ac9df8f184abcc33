"""Input normalisation into the first linear layers: the network then takes whole numbers."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from ..core.errors import UnsupportedNodeError
from .graph import INPUT, Conv, Dense, Flatten, Graph


def fold_input(graph: Graph, divisor: Float64[np.ndarray, " C"]) -> Graph:
    """The same function of the payload p, where the graph took p/divisor per channel.

    The payload 255·x − mean is 0 where the encoded input is 0, so zero padding stays exact and no
    bias changes.

    Args:
        graph: Takes the encoded input (255·x − mean)/(255·std).
        divisor: 255·std of each channel.

    Raises:
        UnsupportedNodeError: If something other than a convolution or a dense layer reads the
            input.
    """
    for name in _readers(graph):
        node = graph.nodes[name]
        assert isinstance(node, Conv | Dense)
        inputs = _conv_divisor(node, divisor) if isinstance(node, Conv) else _spread(graph, divisor)
        graph = graph.with_node(name, replace(node, weight=node.weight / inputs))
    return graph


def _readers(graph: Graph) -> list[str]:
    """The linear nodes that read the input, as it is or flattened."""
    waiting, found = [(INPUT, name) for name in graph.after(INPUT)], []
    while waiting:
        source, name = waiting.pop()
        node = graph.nodes.get(name)
        graph.require_only_input(name, source, "it can take whole numbers")
        if isinstance(node, Flatten):
            waiting += [(name, reader) for reader in graph.after(name)]
        elif isinstance(node, Conv | Dense):
            found.append(name)
        else:
            raise UnsupportedNodeError(
                f"expected a convolution or a dense layer to read the input, got {name!r} "
                f"({graph.kind(name)}); put a linear layer before it"
            )
    return found


def _conv_divisor(conv: Conv, divisor: np.ndarray) -> np.ndarray:
    """The divisor of each weight's input channel: a group's weights count its own channels."""
    outputs, inputs = conv.weight.shape[:2]
    per_group = np.repeat(divisor.reshape(conv.groups, inputs), outputs // conv.groups, axis=0)
    return per_group[:, :, None, None]


def _spread(graph: Graph, divisor: np.ndarray) -> np.ndarray:
    """The divisor of each flattened input."""
    return np.repeat(divisor, int(np.prod(graph.input_shape[1:])))
