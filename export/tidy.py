"""Passes that only move or remove nodes."""

from dataclasses import replace

from .graph import OUTPUT, Flatten, Graph, Neurons


def remove_dead(graph: Graph) -> Graph:
    """The same function without nodes from which no path leads to the output."""
    live, waiting = set[str](), [OUTPUT]
    while waiting:
        for source in graph.before(waiting.pop()):
            if source in graph.nodes and source not in live:
                live.add(source)
                waiting.append(source)
    nodes = {name: node for name, node in graph.nodes.items() if name in live}
    edges = tuple(edge for edge in graph.edges if edge[1] in live or edge[1] == OUTPUT)
    return replace(graph, nodes=nodes, edges=edges)


def flatten_last(graph: Graph) -> Graph:
    """The same function with neurons before flattens: neurons that follow one work on its map.

    A flatten of a vector is nothing and goes.
    """
    for name in graph.names(Flatten):
        shape = graph.shapes()[graph.before(name)[0]]
        graph = graph.bridged(name) if len(shape) == 1 else _behind(graph, name)
    return graph


def _behind(graph: Graph, name: str) -> Graph:
    """The graph where a flatten stands behind each neuron node that alone read it."""
    while len(after := graph.after(name)) == 1:
        (neurons,) = after
        is_moved = isinstance(graph.nodes.get(neurons), Neurons)
        if not is_moved or graph.before(neurons) != [name]:
            break
        source = graph.before(name)
        if len(source) != 1:
            break
        # source → flatten → neurons → rest becomes source → neurons → flatten → rest
        swap = {(source[0], name): (source[0], neurons), (name, neurons): (neurons, name)}
        edges = [swap.get(e, (name, e[1]) if e[0] == neurons else e) for e in graph.edges]
        graph = replace(graph, edges=tuple(edges))
    return graph
