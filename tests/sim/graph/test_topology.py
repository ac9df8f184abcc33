# nir's annotations are narrower than what it takes.
# pyright: reportArgumentType=false

import nir
import numpy as np
import pytest

from spikeproof.core.errors import FormatError, UnsupportedNodeError
from spikeproof.sim.graph.topology import inlined, live

SHAPE = np.array([3])


def scale(value):
    return nir.Scale(np.full(3, float(value)))


def ends(**nodes):
    return {"input": nir.Input(SHAPE), **nodes, "output": nir.Output(SHAPE)}


def graph_of(nodes, *edges):
    return nir.NIRGraph(nodes, list(edges), type_check=False)


def inner():
    """A branch that sums what it takes in with what it scales."""
    return graph_of(
        ends(a=scale(2), b=scale(3)),
        *(("input", "a"), ("input", "b"), ("a", "b"), ("b", "output"), ("a", "output")),
    )


def outer(node):
    return graph_of(
        ends(first=scale(5), mid=node, last=scale(7)),
        *(("input", "first"), ("first", "mid"), ("mid", "last"), ("input", "last")),
        ("last", "output"),
    )


def test_inner_graph_becomes_nodes_of_the_outer():
    found = inlined(outer(inner()))
    assert set(found.nodes) == {"input", "first", "mid.a", "mid.b", "last", "output"}
    assert set(found.edges) == {
        ("input", "first"),
        ("first", "mid.a"),
        ("first", "mid.b"),
        ("mid.a", "mid.b"),
        ("mid.a", "last"),
        ("mid.b", "last"),
        ("input", "last"),
        ("last", "output"),
    }


def test_graphs_in_graphs_are_inlined_too():
    found = inlined(outer(outer(inner())))
    assert {"mid.mid.a", "mid.mid.b", "mid.first"} < set(found.nodes)
    assert ("mid.first", "mid.mid.a") in found.edges


def test_inner_graph_that_only_passes_on_leaves_an_edge():
    found = inlined(outer(graph_of(ends(), ("input", "output"))))
    assert ("first", "last") in found.edges


def test_inner_graph_of_two_outputs_is_refused_by_name():
    two = graph_of(ends(more=nir.Output(SHAPE)), ("input", "output"), ("input", "more"))
    with pytest.raises(UnsupportedNodeError, match=r"in node 'mid' \(NIRGraph\): .* got 2"):
        inlined(outer(two))


def test_inner_name_that_is_taken_is_refused():
    graph = outer(inner())
    graph.nodes["mid.a"] = scale(1)
    with pytest.raises(FormatError, match=r"inside of node 'mid', got \['mid.a'\]"):
        inlined(graph)


def test_nodes_that_no_path_leads_on_from_are_dead():
    graph = graph_of(
        ends(a=scale(2), b=scale(3), c=scale(4)),
        *(("input", "a"), ("a", "output"), ("a", "b"), ("b", "c")),
    )
    found = live(graph)
    assert list(found.nodes) == ["input", "a", "output"]
    assert found.edges == [("input", "a"), ("a", "output")]


def test_edge_from_nowhere_is_refused_where_dead_nodes_are_sought():
    graph = nir.NIRGraph({"output": nir.Output(np.array([1]))}, [("x", "output")], type_check=False)
    with pytest.raises(FormatError, match="got 'x' -> 'output'"):
        live(graph)


def test_loop_that_feeds_the_output_lives():
    graph = graph_of(
        ends(a=scale(2), b=scale(3)),
        *(("input", "a"), ("a", "b"), ("b", "a"), ("a", "output")),
    )
    assert set(live(graph).nodes) == set(graph.nodes)
