# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import numpy as np
import pytest

from spikeproof.core.errors import ConfigError
from spikeproof.export.graph import Conv, Dense, Flatten, Graph, Neurons, Norm
from spikeproof.export.layers import read_layers
from spikeproof.export.passes import PASSES, Change, Pass, apply, folding
from spikeproof.export.tidy import flatten_last, remove_dead
from spikeproof.tests.train.residual import random_wide_resnet

FIRE = Neurons(theta=0.7, decay=0.9)


def conv(rng):
    return Conv(weight=rng.normal(size=(3, 2, 1, 1)), bias=rng.normal(size=3))


def dense(rng, inputs=48):
    return Dense(weight=rng.normal(size=(5, inputs)), bias=rng.normal(size=5))


@pytest.fixture
def usual(chain, rng):
    """Layers on maps (2, 8, 8), without pools."""
    norm = Norm(gain=rng.normal(size=3), shift=rng.normal(size=3))
    nodes = {"conv": conv(rng), "norm": norm, "flat": Flatten(), "fire": FIRE}
    nodes |= {"out": dense(rng, 192)}
    return chain((2, 8, 8), **nodes)


def test_passes_say_what_they_changed(usual):
    _, changes = apply(usual)
    by_name = {change.name: change for change in changes}
    assert [change.name for change in changes] == [each.name for each in PASSES]
    assert by_name["fold batch norm"].removed == ("norm",)
    assert by_name["fold batch norm"].altered == ("conv",)
    assert by_name["merge pools"] == Change(name="merge pools", added=(), removed=(), altered=())


def test_copies_of_residual_convolutions_are_listed_as_added():
    _, changes = apply(read_layers(random_wide_resnet()))
    added = {change.name: change.added for change in changes}
    assert "block1_1_short_block1_2_sum" in added["fold weighted sums"]
    assert not added["remove dead nodes"]


@pytest.mark.parametrize("skipped", ["fold weighted sums", "fold batch norm", "merge pools"])
def test_pass_refuses_a_graph_that_it_is_not_made_for(skipped):
    graph = read_layers(random_wide_resnet())
    passes = [each for each in PASSES if each.name != skipped]
    with pytest.raises(ConfigError, match="expected no .* before pass '.*', got a graph of"):
        apply(graph, passes)


def test_pass_that_breaks_its_word_is_refused(usual):
    lazy = Pass(name="lazy", run=lambda graph: graph, ensures=PASSES[3].ensures)
    with pytest.raises(ConfigError, match="no batch norms after pass 'lazy', got .*Norm"):
        apply(usual, [lazy])


def test_input_is_folded_last(usual):
    with pytest.raises(ConfigError, match="before pass 'fold input normalisation'"):
        apply(usual, [folding(np.ones(2)), *PASSES])


def test_dead_nodes_go_with_their_edges(chain, rng):
    graph = chain((2, 4, 4), conv=conv(rng), fire=FIRE, flat=Flatten(), out=dense(rng))
    nodes = {**graph.nodes, "dead": conv(rng), "deader": FIRE}
    more = Graph(
        nodes=nodes,
        edges=(*graph.edges, ("input", "dead"), ("dead", "deader")),
        input_shape=graph.input_shape,
    )
    found = remove_dead(more)
    assert found.nodes == graph.nodes
    assert set(found.edges) == set(graph.edges)


def test_flatten_moves_behind_the_neurons_that_read_it(chain, rng):
    graph = chain((2, 4, 4), conv=conv(rng), flat=Flatten(), fire=FIRE, out=dense(rng))
    found = flatten_last(graph)
    assert found.order() == ["conv", "fire", "flat", "out"]
    assert found.shapes()["fire"] == (3, 4, 4)


def test_flatten_of_a_vector_goes(chain, rng):
    graph = chain((2, 4, 4), flat=Flatten(), again=Flatten(), out=dense(rng, 32))
    assert flatten_last(graph).order() == ["flat", "out"]


def test_flatten_that_a_dense_layer_reads_too_stays(chain, rng):
    graph = chain((2, 4, 4), conv=conv(rng), flat=Flatten(), fire=FIRE, out=dense(rng))
    nodes = {**graph.nodes, "side": dense(rng)}
    edges = (*graph.edges, ("flat", "side"), ("side", "output"))
    more = Graph(nodes=nodes, edges=edges, input_shape=graph.input_shape)
    assert flatten_last(more).edges == edges
