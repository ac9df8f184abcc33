"""Which populations of a Program form loops, and in which order they can be computed."""

from graphlib import TopologicalSorter

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from .program import Population, Program


def components(program: Program) -> list[tuple[Population, ...]]:
    """Populations in groups, each after all that feed it; more than one where spikes return.

    A group is a strongly connected component of the graph: its members reach one another.
    """
    numbers = {p.name: k for k, p in enumerate(program.populations)}
    edges = [
        (numbers[s.source], numbers[s.target]) for s in program.synapses if s.source in numbers
    ]
    group_of = strongly_connected(len(numbers), edges)
    feeding: dict[int, set[int]] = {int(group): set() for group in group_of}
    for source, target in edges:
        if group_of[source] != group_of[target]:
            feeding[int(group_of[target])].add(int(group_of[source]))
    return [
        tuple(p for p, number in zip(program.populations, group_of, strict=True) if number == group)
        for group in TopologicalSorter(feeding).static_order()
    ]


def in_order(program: Program) -> tuple[Population, ...] | None:
    """Populations so that every synapse comes from an earlier one; None where spikes return."""
    groups = components(program)
    if any(len(group) > 1 for group in groups) or any(
        synapse.source == synapse.target for synapse in program.synapses
    ):
        return None
    return tuple(population for (population,) in groups)


def strongly_connected(size: int, edges: list[tuple[int, int]]) -> np.ndarray:
    """Number of the strongly connected component of each node, for edges by number."""
    rows, columns = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = csr_matrix((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    _, labels = connected_components(graph, connection="strong")
    return labels
