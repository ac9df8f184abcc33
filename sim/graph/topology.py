"""The shape of a NIR graph: who feeds whom, in which order, and what does not fit together."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import nir
import numpy as np

from ...core.errors import FormatError, UnsupportedNodeError
from ..components import strongly_connected
from .layers import Shape


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
        advice = "split or join the graph" if names else "export the network with its ends"
        raise UnsupportedNodeError(
            f"expected one {kind.__name__} node, got {len(names)} {sorted(names)}; {advice}"
        )
    return names[0]


def groups_of(graph: nir.NIRGraph, sources: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Names in groups, in an order of computation that is the same for equal graphs.

    A group is one node, or all nodes of a loop: those that reach one another.

    Raises:
        FormatError: If a node that needs an input has none, or the input node has one.
    """
    for name, node in graph.nodes.items():
        is_input = type(node) is nir.Input
        if is_input == bool(sources[name]):
            found = f"edges from {list(sources[name])}" if is_input else "none"
            raise FormatError(
                f"expected {'no edge' if is_input else 'an edge'} into node {name!r}, got {found}; "
                "check the edges"
            )
    names = sorted(sources)
    numbers = {name: k for k, name in enumerate(names)}
    edges = [(numbers[s], numbers[name]) for name in names for s in sources[name]]
    component = dict(zip(names, map(int, strongly_connected(len(names), edges)), strict=True))
    feeding: dict[int, dict[int, None]] = {component[name]: {} for name in names}
    for name in names:
        for source in sources[name]:
            if component[source] != component[name]:
                feeding[component[name]][component[source]] = None
    order = TopologicalSorter(feeding).static_order()
    return [tuple(n for n in names if component[n] == number) for number in order]


def is_loop(group: tuple[str, ...], sources: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether what a group sends returns to it."""
    return len(group) > 1 or any(name in sources[name] for name in group)


def linear_first(
    group: tuple[str, ...], sources: Mapping[str, tuple[str, ...]], is_linear: Mapping[str, bool]
) -> list[str]:
    """A loop's nodes: the linear ones, each after the linear ones that feed it, then the others.

    Raises:
        UnsupportedNodeError: If linear nodes alone close the loop.
    """
    linear = {
        name: [s for s in sources[name] if s in group and is_linear[s]]
        for name in group
        if is_linear[name]
    }
    try:
        first = list(TopologicalSorter(linear).static_order())
    except CycleError as error:
        raise UnsupportedNodeError(
            f"expected neurons or an integrator in every loop, got the loop "
            f"{' -> '.join(error.args[1])} of linear nodes; its values would depend on themselves"
        ) from error
    return [*first, *(name for name in group if not is_linear[name])]


def inlined(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The same graph without graphs among its nodes: their nodes are called `outer.inner`.

    Raises:
        UnsupportedNodeError: If an inner graph has not one input and one output.
        FormatError: If a name is taken.
    """
    nodes, edges = dict(graph.nodes), list(graph.edges)
    while inner := next((n for n, node in nodes.items() if type(node) is nir.NIRGraph), None):
        nested = nodes.pop(inner)
        assert isinstance(nested, nir.NIRGraph)
        first, last = (f"{inner}.{_end(inner, nested, kind)}" for kind in (nir.Input, nir.Output))
        added = {f"{inner}.{name}": node for name, node in nested.nodes.items()}
        if taken := nodes.keys() & added.keys():
            raise FormatError(
                f"expected other names than those inside of node {inner!r}, got "
                f"{sorted(taken)}; rename them"
            )
        nodes |= added
        edges = [
            (last if source == inner else source, first if target == inner else target)
            for source, target in edges
        ]
        edges += [(f"{inner}.{source}", f"{inner}.{target}") for source, target in nested.edges]
        for end in (first, last):
            nodes, edges = _bridged(nodes, edges, end)
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False)


def live(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph without dead nodes: those from which no path leads to the output.

    Raises:
        FormatError: If an edge is double, or leads from or to a node that is not there.
    """
    before = sources_of(graph)
    waiting = [name for name, node in graph.nodes.items() if type(node) is nir.Output]
    found = {name for name, node in graph.nodes.items() if type(node) is nir.Input}
    while waiting:
        name = waiting.pop()
        if name not in found or type(graph.nodes[name]) is nir.Output:
            found.add(name)
            waiting += [source for source in before[name] if source not in found]
    nodes = {name: node for name, node in graph.nodes.items() if name in found}
    edges = [edge for edge in graph.edges if edge[0] in found and edge[1] in found]
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False)


AXES: dict[type[nir.NIRNode], int] = {
    nir.Affine: 1,
    nir.Linear: 1,
    nir.Conv1d: 2,
    nir.Conv2d: 3,
    nir.SumPool2d: 3,
    nir.AvgPool2d: 3,
}
"""Axes of what a node reads, without the batch, where it reads nothing else."""


def shape_of_input(name: str, graph: nir.NIRGraph) -> Shape:
    """The shape at the input node `name`, without time and batch.

    Rockpool and Norse write that of a sample, with its batch: an axis of length 1 before those that
    every reader of the input needs is that batch.

    Raises:
        FormatError: If the node states no shape, or an empty one.
    """
    shape = shape_of(name, graph.nodes[name].input_type["input"])
    readers = [graph.nodes[target] for source, target in graph.edges if source == name]
    is_batch = shape[0] == 1 and {_axes(node) for node in readers} == {len(shape) - 1}
    return shape[1:] if is_batch else shape


def _axes(node: nir.NIRNode) -> int | None:
    stated = (node.input_type or {}).get("input") if type(node) is nir.Flatten else None
    return AXES.get(type(node)) if stated is None else len(stated)


def _end(name: str, nested: nir.NIRGraph, kind: type[nir.NIRNode]) -> str:
    try:
        return only(nested, kind)
    except UnsupportedNodeError as error:
        raise UnsupportedNodeError(f"in node {name!r} (NIRGraph): {error}") from error


def _bridged(
    nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], name: str
) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Without a node: what feeds it feeds what it feeds."""
    before = [s for s, t in edges if t == name]
    after = [t for s, t in edges if s == name]
    kept = [edge for edge in edges if name not in edge]
    rest = {other: node for other, node in nodes.items() if other != name}
    return rest, kept + [(s, t) for s in before for t in after]


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
        FormatError: If it states none, an empty one, or something that is no shape.
    """
    sizes = np.zeros(0) if stored is None else np.asarray(stored)
    is_shape = sizes.ndim == 1 and sizes.size > 0 and sizes.dtype.kind in "iuf"
    if not is_shape or (sizes < 1).any() or (sizes != np.floor(sizes)).any():
        raise FormatError(
            f"expected a shape without batch axis at node {name!r}, got {stored}; "
            "write the network with its input shape"
        )
    return tuple(int(size) for size in sizes)
