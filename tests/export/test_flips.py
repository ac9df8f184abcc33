# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch

from spikeproof.export.flips import first_flips, membranes, weight_scale
from spikeproof.sim.gradients.estimators import estimator
from spikeproof.sim.graph.layers import MembraneLayer, NeuronLayer
from spikeproof.sim.graph.meta import NirMeta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.sim.graph.steps import run
from spikeproof.sim.neurons.neuron import integrate_and_fire

META = NirMeta(dt=1.0, steps=4, encoding="frames", readout="membrane", reset="zero")
WEIGHT = np.array([[0.5, -0.25], [2.0, 1.0], [0.0, 0.0]])


def graph_of(first):
    nodes = {
        "input": nir.Input(np.array([2])),
        "in": first,
        "fire": nir.IF(np.ones(3), np.ones(3)),
        "out": nir.Affine(np.ones((1, 3)), np.zeros(1)),
        "output": nir.Output(np.array([1])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


@pytest.fixture
def graph():
    return graph_of(nir.Affine(WEIGHT, np.array([0.0, 0.1, 0.2])))


@pytest.fixture
def network(graph):
    return NirNetwork(graph, META, dtype=torch.float64)


@pytest.fixture
def inputs(rng):
    return {"input": torch.tensor(rng.integers(-3, 4, (4, 5, 2)).astype(float))}


@pytest.mark.parametrize("decay", [1.0, 0.8])
def test_membranes_above_threshold_are_the_spikes(rng, decay):
    x = torch.tensor(rng.normal(0.3, 0.5, (9, 4, 3)))
    h = membranes(x, NeuronLayer(shape=(3,), theta=0.7, decay=decay, gain=1.0))
    spikes = integrate_and_fire(x, theta=0.7, decay=decay, estimator=estimator("triangle"))
    assert torch.equal((h > 0.7).double(), spikes)


@pytest.mark.parametrize("how", [{"reset": -0.3}, {"drop": 0.9}])
def test_membranes_of_any_neurons_are_those_of_their_steps(rng, how):
    x = torch.tensor(rng.normal(0.3, 0.5, (9, 4, 3)))
    layer = MembraneLayer(shape=(3,), theta=0.7, decay=0.9, gain=1.5, synapse=0.4, **how)
    spikes = run(layer, x, estimator("triangle"))
    assert torch.equal((membranes(x, layer) > 0.7).double(), spikes)
    assert 0.05 < spikes.mean() < 0.95


def test_scale_counts_weights_and_the_largest_input(graph, network, inputs):
    scale = weight_scale(network, "fire", inputs)
    np.testing.assert_allclose(scale[:2], np.array([0.75, 3.0]) * 3)


POOL = (np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
SHAPES = {nir.SumPool2d: (1, 2, 2), nir.AvgPool2d: (1, 2, 2), nir.Flatten: (16,)}
UNWEIGHTED = {
    "sum": (nir.SumPool2d(*POOL), 4 * 3),
    "mean": (nir.AvgPool2d(*POOL), 3),
    "scale": (nir.Scale(np.array([[[-2.5]]])), 2.5 * 3),
    "flatten": (nir.Flatten({"input": np.array([1, 4, 4])}, 0, -1), 3),
    "integrator": (nir.I(np.full((1, 4, 4), 2.0)), 2 * (3 + 2)),
}


@pytest.mark.parametrize(("node", "expected"), UNWEIGHTED.values(), ids=UNWEIGHTED)
def test_scale_of_other_nodes_is_the_weight_they_stand_for(node, expected):
    nodes = {
        "input": nir.Input(np.array([1, 4, 4])),
        "in": node,
        "fire": nir.Threshold(np.ones(1)),
        "again": nir.Threshold(np.ones(1)),
        "output": nir.Output(np.array(SHAPES.get(type(node), (1, 4, 4)))),
    }
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False)
    network = NirNetwork(graph, replace(META, steps=2, readout="spikes"), dtype=torch.float64)
    x = torch.tensor([-3.0, -2.0], dtype=torch.float64).reshape(2, 1, 1, 1, 1)
    inputs = {"input": x.expand(2, 5, 1, 4, 4)}
    assert weight_scale(network, "fire", inputs).flatten().tolist() == [expected]
    inputs["fire"] = network.run(inputs["input"])["fire"]
    assert weight_scale(network, "again", inputs).flatten().tolist() == [1.0]


def test_equal_trains_have_no_flips(network, inputs):
    spikes = network.run(inputs["input"])["fire"]
    found = first_flips(
        network, torch.ones(3), name="fire", inputs=inputs, spikes=spikes, others=spikes.clone()
    )
    assert (found.count, found.margin, found.first) == (0, 0.0, ())


def test_only_the_first_step_of_a_train_counts(network, inputs):
    spikes = network.run(inputs["input"])["fire"]
    others = spikes.clone()
    others[1:, 2, 1] = 1 - others[1:, 2, 1]
    others[3, 4, 0] = 1 - others[3, 4, 0]
    scale = torch.tensor([2.0, 4.0, 1.0], dtype=torch.float64)
    found = first_flips(network, scale, name="fire", inputs=inputs, spikes=spikes, others=others)
    x = inputs["input"] @ torch.tensor(WEIGHT).T + torch.tensor([0.0, 0.1, 0.2])
    h = membranes(x, NeuronLayer(shape=(3,), theta=1.0, decay=1.0, gain=1.0))
    expected = max(abs(h[1, 2, 1] - 1) / 4, abs(h[3, 4, 0] - 1) / 2)
    assert (found.count, found.first) == (2, (1, 2, 1))
    assert found.margin == pytest.approx(float(expected))
