"""Input normalisation into the first linear layers: the network then takes whole numbers."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from .graph import INPUT, Conv, Dense, Graph
from .readers import linear_readers


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
    readers = linear_readers(
        graph,
        INPUT,
        what="the input",
        why="it can take whole numbers",
        advice="put a linear layer before it",
    )
    for name in readers:
        node = graph.nodes[name]
        assert isinstance(node, Conv | Dense)
        inputs = _conv_divisor(node, divisor) if isinstance(node, Conv) else _spread(graph, divisor)
        graph = graph.with_node(name, replace(node, weight=node.weight / inputs))
    return graph


def _conv_divisor(conv: Conv, divisor: np.ndarray) -> np.ndarray:
    """The divisor of each weight's input channel: a group's weights count its own channels."""
    outputs, inputs = conv.weight.shape[:2]
    per_group = np.repeat(divisor.reshape(conv.groups, inputs), outputs // conv.groups, axis=0)
    return per_group[:, :, None, None]


def _spread(graph: Graph, divisor: np.ndarray) -> np.ndarray:
    """The divisor of each flattened input."""
    return np.repeat(divisor, int(np.prod(graph.input_shape[1:])))
