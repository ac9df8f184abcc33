import numpy as np
import pytest

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons, Norm, Pool


def test_shapes_follow_the_nodes(chain):
    graph = chain(
        (2, 9, 12),
        conv=Conv(
            weight=np.ones((4, 2, 3, 5)),
            bias=np.ones(4),
            stride=(2, 1),
            padding=(1, 2),
            dilation=(2, 1),
        ),
        norm=Norm(gain=np.ones(4), shift=np.ones(4)),
        fire=Neurons(theta=1.0, decay=0.5),
        pool=Pool(kernel=(2, 3), factor=1.0),
        flat=Flatten(),
        dense=Dense(weight=np.ones((3, 32)), bias=np.ones(3)),
    )
    shapes = graph.shapes()
    assert shapes["conv"] == shapes["norm"] == shapes["fire"] == (4, 4, 12)
    assert (shapes["pool"], shapes["flat"], shapes["dense"]) == ((4, 2, 4), (32,), (3,))


def diamond():
    node = Neurons(theta=1.0, decay=1.0)
    edges = (("input", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "output"))
    return Graph(nodes=dict.fromkeys("dcba", node), edges=edges, input_shape=(3,))


def test_order_has_sources_first():
    order = diamond().order()
    assert order[0] == "a"
    assert order[-1] == "d"
    assert sorted(order) == ["a", "b", "c", "d"]


def test_bridged_joins_every_source_to_every_target():
    edges = set(diamond().bridged("a").edges)
    assert {("input", "b"), ("input", "c")} <= edges
    assert not any("a" in edge for edge in edges)


def test_a_second_source_is_refused_where_one_is_needed():
    with pytest.raises(UnsupportedNodeError, match="expected 'b' alone before 'd' so that it fits"):
        diamond().require_only_input("d", "b", "it fits")
