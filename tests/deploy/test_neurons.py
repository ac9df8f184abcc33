# nir's annotations are narrower than what it takes, and nodes of a graph are known by name here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import nir
import numpy as np
import pytest
import torch

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.deploy.lower import lower
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.tests.deploy.float_run import float_run
from spikeproof.tests.deploy.networks import (
    CLASSES,
    DT,
    SHAPE,
    affine,
    chain,
    conv,
    flatten,
    integrate,
    lattice_images,
    meta_of,
)

MAP = (3, 6, 5)


def draw(*shape, low=0.6, high=1.4, seed=5):
    return np.random.default_rng(seed).uniform(low, high, shape)


def by_channel(*values):
    return np.broadcast_to(np.array(values)[:, None, None], MAP).copy()


def graph_of(neurons, hidden=None, tail=None, **meta):
    """A convolution, `neurons` on its map, 7 `hidden` neurons, and `tail` behind the last layer."""
    rng = np.random.default_rng(2)
    nodes = {
        "conv": conv(rng.normal(size=(3, 2, 3, 3)) / 200, rng.normal(size=3) / 5),
        "fire": neurons,
        "flat": flatten(MAP),
        "dense": affine(rng.normal(size=(7, 90)) / 4, rng.normal(size=7) / 5),
        "hidden": hidden or integrate((7,), 0.8),
        "last": affine(rng.normal(size=(CLASSES, 7)), rng.normal(size=CLASSES) / 5),
    }
    return chain(nodes | ({"tail": tail} if tail else {}), meta=meta_of(**meta))


def lif(shape=MAP, **fields):
    values = {
        "tau": np.full(shape, 1.0),
        "r": np.full(shape, 4.0),
        "v_leak": np.zeros(shape),
        "v_threshold": np.full(shape, 0.7),
    }
    return nir.LIF(**(values | fields))


def cuba(shape=MAP, **fields):
    values = {
        "tau_syn": np.full(shape, 0.5),
        "tau_mem": np.full(shape, 1.0),
        "r": np.full(shape, 4.0),
        "v_leak": np.zeros(shape),
        "v_threshold": np.full(shape, 0.7),
        "w_in": np.full(shape, 1.5),
    }
    return nir.CubaLIF(**(values | fields))


def unbiased(graph, *names):
    for name in names:
        graph.nodes[name].bias = np.zeros_like(graph.nodes[name].bias)
    return graph


IF_VALUES = nir.IF(draw(*MAP), draw(*MAP), np.zeros(MAP))
EXACT = {
    "theta, gain by channel": (
        graph_of(
            nir.IF(by_channel(3.0, 4.0, 5.0), by_channel(0.5, 0.7, 0.9)),
            nir.IF(draw(7, low=2, high=6), draw(7)),
        ),
        {},
    ),
    "decay by channel": (
        graph_of(lif(tau=by_channel(1.0, 2.0, 1.0)), lif((7,), tau=draw(7, low=0.5, high=3))),
        {},
    ),
    "leak and reset that agree": (
        graph_of(lif(v_leak=np.full(MAP, -0.2), v_reset=np.full(MAP, -0.2))),
        {"reset": "value"},
    ),
    "reset of IF": (
        graph_of(nir.IF(np.full(MAP, 4.0), np.full(MAP, 0.7), by_channel(-0.2, 0.1, 0.0))),
        {"reset": "value"},
    ),
    "current": (unbiased(graph_of(cuba(), cuba((7,))), "conv", "dense"), {}),
    "current by channel": (
        unbiased(graph_of(cuba(tau_syn=by_channel(0.5, 1.0, 0.75), r=by_channel(3, 4, 5))), "conv"),
        {},
    ),
    "threshold": (graph_of(nir.Threshold(by_channel(0.2, 0.3, 0.1))), {}),
    "exponential": (graph_of(lif()), {"integration": "exponential"}),
    "no lattice": (
        graph_of(nir.IF(np.full(MAP, 60.0), np.full(MAP, 0.7))),
        {"input_lattice": None},
    ),
    "integrator": (
        graph_of(integrate(MAP, 0.7), tail=nir.I(draw(CLASSES))),
        {"readout": "last"},
    ),
    "leaky integrator": (
        graph_of(
            integrate(MAP, 0.7),
            tail=nir.LI(np.full(CLASSES, 0.5), draw(CLASSES), np.zeros(CLASSES)),
        ),
        {"readout": "last"},
    ),
    "mean of a leaky integrator": (
        graph_of(
            integrate(MAP, 0.7),
            tail=nir.LI(np.full(CLASSES, 0.5), draw(CLASSES), np.zeros(CLASSES)),
        ),
        {},
    ),
    "mean of a current": (
        unbiased(
            graph_of(
                integrate(MAP, 0.7),
                tail=nir.CubaLI(
                    np.full(CLASSES, 0.5),
                    np.full(CLASSES, 0.75),
                    draw(CLASSES),
                    np.zeros(CLASSES),
                    draw(CLASSES),
                ),
            ),
            "last",
        ),
        {},
    ),
    "last step of a linear node": (graph_of(integrate(MAP, 0.7)), {"readout": "last"}),
}


@pytest.mark.parametrize(("graph", "meta"), EXACT.values(), ids=EXACT)
def test_chip_before_rounding_equals_the_graph(graph, meta):
    meta, images = meta_of(**meta), lattice_images(6)
    network = NirNetwork(graph, meta, dtype=torch.float64)
    lowered = lower(graph, meta)
    assert lowered.approximations == ()
    trains, logits = float_run(lowered, images)
    expected = network.run(network.encode(torch.from_numpy(images)))
    for name, train in expected.items():
        assert 0.02 < train.mean() < 0.98
        assert joined(trains, name).sum() == train.sum()
    np.testing.assert_allclose(logits, network(torch.from_numpy(images)), rtol=0, atol=1e-9)


def joined(trains, name):
    """Spikes of a node, or of the populations that stand for it."""
    parts = [train for part, train in trains.items() if part.rsplit("_", 1)[0] == name]
    return np.concatenate([train.flatten() for train in parts or [trains[name]]])


def test_layer_of_three_decays_becomes_three_populations():
    layers = lower(graph_of(lif(tau=by_channel(1.0, 2.0, 4.0))), meta_of()).layers
    assert [(la.name, la.shape) for la in layers[:3]] == [
        (f"fire_{k}", (1, *MAP[1:])) for k in range(3)
    ]
    assert sorted(la.decay for la in layers[:3]) == [1 - DT, 1 - DT / 2, 1 - DT / 4]


APPROXIMATED = {
    "subtract": (
        graph_of(integrate(MAP, 0.7)),
        {"reset": "subtract"},
        "node 'fire'.*reset to 0 and not by subtraction; error of a membrane in thresholds",
    ),
    "v_leak": (
        graph_of(lif(v_leak=np.full(MAP, 0.1))),
        {"reset": "value"},
        "node 'fire'.*start at v_reset and not at v_leak; error in thresholds, up to 0.143",
    ),
    "theta": (
        graph_of(nir.IF(np.full(MAP, 4.0), draw(*MAP))),
        {},
        "node 'fire'.*one theta for each channel, its mean; relative error",
    ),
    "tau": (graph_of(lif(tau=draw(*MAP))), {}, "node 'fire'.*one decay for each channel"),
    "many decays": (
        chain(
            {
                "flat": flatten(SHAPE),
                "dense": affine(draw(40, 60, low=-0.01, high=0.01)),
                "fire": lif((40,), tau=np.linspace(0.5, 2, 40)),
                "last": affine(draw(CLASSES, 40, low=-1, high=1)),
            }
        ),
        {},
        "node 'fire'.*one decay for all 40 channels, their mean; error",
    ),
    "bias of a current": (
        graph_of(cuba()),
        {},
        "node 'fire'.*bias's current is at its final value from the first step on",
    ),
    "v_leak of the read-out": (
        graph_of(
            integrate(MAP, 0.7),
            tail=nir.LI(np.ones(CLASSES), np.ones(CLASSES), np.full(CLASSES, 0.3)),
        ),
        {"readout": "last"},
        "node 'tail'.*logits without v_leak; error of a logit, up to 0.3",
    ),
    "decays of the read-out": (
        graph_of(
            integrate(MAP, 0.7),
            tail=nir.LI(np.linspace(0.5, 1, CLASSES), np.ones(CLASSES), np.zeros(CLASSES)),
        ),
        {"readout": "last"},
        "node 'tail'.*one decay for all 4 channels",
    ),
}


@pytest.mark.parametrize(("graph", "meta", "message"), APPROXIMATED.values(), ids=APPROXIMATED)
def test_approximation_is_refused_by_node_and_reason(graph, meta, message):
    with pytest.raises(UnsupportedNodeError, match=message) as caught:
        lower(graph, meta_of(**meta))
    assert "give --allow-approximation" in str(caught.value)


@pytest.mark.parametrize(("graph", "meta", "message"), APPROXIMATED.values(), ids=APPROXIMATED)
def test_approximation_is_listed_with_its_size_where_it_is_allowed(graph, meta, message):
    lowered = lower(graph, meta_of(**meta), allow_approximation=True)
    node = message.split("'")[1]
    assert [found.node for found in lowered.approximations if found.node == node]
    assert all(found.size > 0 for found in lowered.approximations)
    trains, logits = float_run(lowered, lattice_images(2))
    assert np.isfinite(logits).all()
    assert trains[lowered.layers[0].name].any()


def test_start_and_leak_are_kept_apart_from_the_start():
    graph = graph_of(lif(v_leak=np.full(MAP, 0.1), v_reset=np.full(MAP, -0.1)))
    layer = lower(graph, meta_of(reset="value"), allow_approximation=True).layers[0]
    assert layer.theta == pytest.approx(0.8)
    np.testing.assert_allclose(layer.bias, graph.nodes["conv"].bias + 0.25 * 0.2)


REFUSED = {
    "loop": (
        graph_of(integrate(MAP, 0.7)),
        [("hidden", "back"), ("back", "hidden")],
        "loop.*'back'",
    ),
    "delay": (
        graph_of(integrate(MAP, 0.7), tail=nir.Delay(np.full(CLASSES, DT))),
        [],
        r"no delay at node 'tail' \(Delay\)",
    ),
    "inner integrator": (
        graph_of(nir.I(np.ones(MAP))),
        [],
        r"node 'fire' \(I\) to feed the output alone, got \['flat'\]",
    ),
}


@pytest.mark.parametrize(("graph", "edges", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_chip_neuron_does_is_refused_by_name(graph, edges, message):
    graph = nir.NIRGraph(dict(graph.nodes), list(graph.edges), type_check=False)
    graph.nodes |= {"back": nir.Linear(np.eye(7))} if edges else {}
    graph.edges += edges
    with pytest.raises(UnsupportedNodeError, match=message):
        lower(graph, meta_of(), allow_approximation=True)


def test_reset_above_the_threshold_is_refused():
    graph = graph_of(lif(v_reset=np.full(MAP, 0.9)))
    with pytest.raises(UnsupportedNodeError, match="v_reset below v_threshold at node 'fire'"):
        lower(graph, meta_of(reset="value"), allow_approximation=True)
