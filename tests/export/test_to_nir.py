# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

import json
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch
from torch import nn

from spikeproof.core.errors import ConfigError, UnsupportedNodeError
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.train.spiking import Spiking


def test_neurons_have_parameters_at_the_full_shape(make_network):
    node = to_nir(make_network(theta=0.8)).nodes["spike1"]
    assert isinstance(node, nir.IF)
    np.testing.assert_array_equal(node.v_threshold, np.full((6, 8, 12), 0.8))
    np.testing.assert_array_equal(node.r, np.ones((6, 8, 12)))
    assert not node.v_reset.any()


@pytest.mark.parametrize("decay", [0.05, 0.3, 0.5, 0.9, 0.97])
def test_lif_decay_survives_the_time_constant(make_network, decay):
    network = make_network(neuron="lif", decay=decay)
    graph = to_nir(network)
    layer = NirNetwork(graph, read_meta(graph), dtype=torch.float64).layers["spike2"]
    assert layer.decay == pytest.approx(decay, abs=2**-52)
    assert layer.gain == 1.0
    assert not graph.nodes["spike2"].v_leak.any()


def test_zero_bias_is_written(make_network):
    layers = [("conv", nn.Conv2d(2, 3, 3, bias=False)), ("fire", Spiking())]
    layers += [("flat", nn.Flatten()), ("out", nn.Linear(180, 5, bias=False))]
    graph = to_nir(make_network(layers))
    assert graph.nodes["conv"].bias.tolist() == [0, 0, 0]
    assert graph.nodes["out"].bias.tolist() == [0] * 5


def test_only_nodes_without_norms_and_pools_are_left(make_network):
    graph = to_nir(make_network())
    names = ["input", "conv1", "spike1", "conv2", "spike2"]
    names += ["flatten", "dense1", "dense_spike1", "readout", "output"]
    assert set(graph.nodes) == set(names)
    assert set(graph.edges) == set(pairwise(names))


def test_metadata_says_what_nir_leaves_open(make_network):
    graph = to_nir(make_network(), classes=("a", "b", "c", "d", "é"))
    found = dict(graph.metadata)
    assert json.loads(found.pop("input_lattice")) == {"scale": 255, "offset": [33, 120]}
    assert json.loads(found.pop("classes")) == ["a", "b", "c", "d", "é"]
    assert found == {
        "dt": 1.0,
        "steps": 6,
        "encoding": "direct",
        "readout": "membrane",
        "reset": "zero",
        "threshold": "strict",
    }


def test_network_for_events_takes_counts_as_they_are(make_network):
    network = make_network(encoding="frames", mean=(0, 0))
    graph = to_nir(network)
    assert read_meta(graph).encoding == "frames"
    assert "input_lattice" not in graph.metadata
    expected = network.layers.conv1.weight.double() / network.std
    norm = network.layers[1]
    gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    found = torch.tensor(graph.nodes["conv1"].weight)
    torch.testing.assert_close(found, (expected * gain[:, None, None, None]).detach())


def test_network_is_left_as_it_was(make_network):
    network = make_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    to_nir(network)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_nir_accepts_rectangular_kernels_and_groups(make_network):
    layers = [("conv", nn.Conv2d(2, 4, (3, 5), groups=2)), ("fire", Spiking())]
    layers += [("flat", nn.Flatten()), ("out", nn.Linear(192, 5))]
    node = to_nir(make_network(layers)).nodes["conv"]
    assert node.input_type["input"].tolist() == [2, 8, 12]
    assert node.output_type["output"].tolist() == [4, 6, 8]


def test_pool_without_a_linear_layer_after_it_is_refused(make_network):
    layers = [("conv", nn.Conv2d(2, 4, 1)), ("pool", nn.AvgPool2d(2)), ("fire", Spiking())]
    layers += [("flat", nn.Flatten()), ("out", nn.Linear(96, 5))]
    with pytest.raises(UnsupportedNodeError, match="pool 'pool' to feed"):
        to_nir(make_network(layers))


def test_class_names_fit_the_logits(make_network):
    with pytest.raises(ConfigError, match="expected 5 class names, got 2"):
        to_nir(make_network(), classes=("a", "b"))
