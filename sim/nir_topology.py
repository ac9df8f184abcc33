"""The shape of a NIR graph: who feeds whom, in which order, and what does not fit together."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import nir

from ..core.errors import FormatError, UnsupportedNodeError
from .nir_layers import Shape


def sources_of(graph: nir.NIRGraph) -> dict[str, tuple[str, ...]]:
    """Names of the nodes with an edge into each node.

    Raises:
        FormatError: If an edge is double, or leads from or to a node that is not there.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        if source not in sources or target not in sources or source in sources[target]:
            raise FormatError(
                f"expected single edges between nodes of the graph, got {source!r} -> {target!r}; "
                "the file is damaged"
            )
        sources[target].append(source)
    return {name: tuple(found) for name, found in sources.items()}


def only(graph: nir.NIRGraph, kind: type[nir.NIRNode]) -> str:
    """Name of the one node of `kind`.

    Raises:
        UnsupportedNodeError: If there is none, or several.
    """
    names = [name for name, node in graph.nodes.items() if type(node) is kind]
    if len(names) != 1:
        raise UnsupportedNodeError(
            f"expected one {kind.__name__} node, got {len(names)} {sorted(names)}; "
            "split or join the graph"
        )
    return names[0]


def order_of(graph: nir.NIRGraph, sources: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names in an order of computation, the same for equal graphs.

    Raises:
        FormatError: If a node that needs an input has none, or the input node has one.
        UnsupportedNodeError: If the graph has a cycle.
    """
    for name, node in graph.nodes.items():
        is_input = type(node) is nir.Input
        if is_input == bool(sources[name]):
            found = f"edges from {list(sources[name])}" if is_input else "none"
            raise FormatError(
                f"expected {'no edge' if is_input else 'an edge'} into node {name!r}, got {found}; "
                "check the edges"
            )
    try:
        return list(TopologicalSorter(dict(sorted(sources.items()))).static_order())
    except CycleError as error:
        raise UnsupportedNodeError(
            f"expected a feed-forward graph, got the cycle {' -> '.join(error.args[1])}; "
            "recurrent networks are not supported"
        ) from error


def common_shape(name: str, shapes: Mapping[str, Shape]) -> Shape:
    """The shape that all edges into the node `name` carry, by the node they come from.

    Raises:
        FormatError: If they differ.
    """
    if len(set(shapes.values())) != 1:
        raise FormatError(
            f"expected inputs of one shape at node {name!r}, got {dict(shapes)}; check the edges"
        )
    return next(iter(shapes.values()))


def shape_of(name: str, stored: Any) -> Shape:
    """The shape that an input or output node states.

    Raises:
        FormatError: If it states none, or an empty one.
    """
    shape = () if stored is None else tuple(int(size) for size in stored)
    if not shape or min(shape) < 1:
        raise FormatError(
            f"expected a shape without batch axis at node {name!r}, got {stored}; "
            "write the network with its input shape"
        )
    return shape
