# pyright: reportAttributeAccessIssue=false
import nir
import numpy as np
import pytest

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.fold import fold_norms
from spikeproof.export.graph import Conv, Graph, Mix, Neurons
from spikeproof.export.layers import read_layers
from spikeproof.export.mix import fold_mixes
from spikeproof.export.to_nir import to_nir
from spikeproof.export.verify import export_network, verify
from spikeproof.sim.graph.file import read_nir
from spikeproof.tests.train.residual import SMALL, random_images, random_wide_resnet

POINT = {"bias": np.zeros(2), "stride": (1, 1)}


def conv(value):
    return Conv(weight=np.full((2, 2, 1, 1), value), **POINT)


def mixed():
    """input → a, b; m = 2·a + 3·b; n = 5·m + 7·c."""
    nodes = {"a": conv(1.0), "b": conv(1.0), "c": conv(1.0)}
    nodes |= {"m": Mix(weights={"a": 2.0, "b": 3.0}), "n": Mix(weights={"m": 5.0, "c": 7.0})}
    edges = [*(("input", k) for k in "abc"), ("a", "m"), ("b", "m"), ("m", "n"), ("c", "n")]
    return Graph(nodes=nodes, edges=(*edges, ("n", "output")), input_shape=(2, 3, 3))


def test_exported_network_equals_the_trained_one(tmp_path):
    network = random_wide_resnet()
    report = export_network(network, tmp_path / "net.nir", images=random_images(SMALL, 6))
    assert report.logit_difference <= 1e-9
    assert report.silent == ()
    assert len(report.layers) == 9
    assert report.agreement == 1.0
    assert verify(network, read_nir(tmp_path / "net.nir"), random_images(SMALL, 2)).samples == 2


def test_exported_graph_has_only_convolutions_neurons_and_a_dense_layer():
    kinds = {type(node) for node in to_nir(random_wide_resnet()).nodes.values()}
    assert kinds == {nir.Input, nir.Output, nir.Conv2d, nir.IF, nir.Flatten, nir.Affine}


def test_convolution_before_two_norms_is_copied_for_each_population():
    graph = to_nir(random_wide_resnet())
    into = [source for source, target in graph.edges if target == "block2_1_spike1"]
    copied = [source for source, target in graph.edges if target == "block1_2_spike1"]
    assert len(into) == 3
    assert len(copied) == 2
    assert not set(into) & set(copied)


def test_sum_of_a_sum_multiplies_the_weights():
    folded = fold_mixes(mixed())
    weights = {k: float(folded.nodes[k].weight.flat[0]) for k in folded.before("output")}
    assert sorted(weights.values()) == [7.0, 10.0, 15.0]
    assert not folded.names(Mix)


def test_summand_that_something_else_reads_is_copied():
    graph = mixed()
    edges = (*graph.edges, ("a", "fire"))
    nodes = {**graph.nodes, "fire": Neurons(theta=1.0, decay=1.0)}
    folded = fold_mixes(Graph(nodes=nodes, edges=edges, input_shape=graph.input_shape))
    assert folded.before("fire") == ["a"]
    np.testing.assert_array_equal(folded.nodes["a"].weight, conv(1.0).weight)


def test_weighted_sum_of_spikes_is_refused():
    graph = mixed().with_node("a", Neurons(theta=1.0, decay=1.0))
    with pytest.raises(UnsupportedNodeError, match=r"weighted sum 'm', got 'a' \(Neurons\)"):
        fold_mixes(graph)


def test_folding_leaves_no_sum_and_no_norm():
    folded = fold_norms(fold_mixes(read_layers(random_wide_resnet())))
    kinds = {type(node).__name__ for node in folded.nodes.values()}
    assert kinds == {"Conv", "Dense", "Flatten", "Neurons", "Pool"}
