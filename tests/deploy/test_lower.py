import nir
import numpy as np
import pytest

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.deploy.lower import lower
from spikeproof.sim.graph.meta import InputLattice, NirMeta
from spikeproof.tests.deploy.networks import (
    DT,
    OFFSET,
    SHAPE,
    affine,
    chain,
    conv,
    flatten,
    integrate,
    leaky,
    meta_of,
    weight,
)

MAP = (3, 6, 5)


def conv_chain(node, shape=MAP, neurons=None, **rest):
    """One convolution, neurons, read-out."""
    nodes = {"conv": node, "fire": neurons or integrate(shape, 2.0)}
    nodes |= rest or {"flat": flatten(shape), "last": affine(weight(4, int(np.prod(shape))))}
    return chain(nodes)


def test_chain_becomes_layers_in_order():
    network = lower(conv_chain(conv(weight(3, 2, 3, 3))), meta_of())
    assert (network.source, network.input_shape, network.offset) == ("input", SHAPE, OFFSET)
    assert [(la.name, la.shape) for la in network.layers] == [("fire", MAP), ("last", (4,))]
    assert [s.source for la in network.layers for s in la.synapses] == ["input", "fire"]
    assert [la.theta for la in network.layers] == [2.0, None]


def test_convolution_keeps_its_geometry():
    options = {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 2}
    node = conv(weight(4, 1, 3, 2), weight(4), **options)
    layer = lower(conv_chain(node, (4, 2, 7)), meta_of()).layers[0]
    (synapse,) = layer.synapses
    assert {key: getattr(synapse, key) for key in options} == options
    np.testing.assert_array_equal(synapse.weight, node.weight)
    np.testing.assert_array_equal(layer.bias, node.bias)


@pytest.mark.parametrize(
    ("padding", "kernel", "dilation", "expected", "shape"),
    [
        ("same", (3, 5), (1, 1), (1, 2), MAP),
        ("same", (3, 3), (2, 1), (2, 1), MAP),
        ("valid", (3, 3), (1, 1), (0, 0), (3, 4, 3)),
        (b"same", (3, 3), (1, 1), (1, 1), MAP),
        (np.array([2, 1]), (3, 3), (1, 1), (2, 1), (3, 8, 5)),
    ],
)
def test_padding_becomes_numbers(padding, kernel, dilation, expected, shape):
    node = conv(weight(3, 2, *kernel), padding=padding, dilation=dilation)
    (synapse,) = lower(conv_chain(node, shape), meta_of()).layers[0].synapses
    assert synapse.padding == expected


@pytest.mark.parametrize(
    ("neurons", "theta", "decay", "gain"),
    [
        (integrate(MAP, 0.75), 0.75, 1.0, 1.0),
        (integrate(MAP, 0.75, gain=3.0), 0.75, 1.0, 3.0),
        (leaky(MAP, 1.5, decay=0.75), 1.5, 0.75, 1.0),
        (leaky(MAP, 1.5, decay=0.75, gain=0.5), 1.5, 0.75, 0.5),
    ],
)
def test_neurons_become_theta_decay_and_gain(neurons, theta, decay, gain):
    assert DT != 1
    node = conv(weight(3, 2, 3, 3), weight(3))
    layer = lower(conv_chain(node, neurons=neurons), meta_of()).layers[0]
    assert (layer.theta, layer.decay) == (theta, decay)
    np.testing.assert_allclose(layer.synapses[0].weight, gain * node.weight, rtol=1e-15)
    np.testing.assert_allclose(layer.bias, gain * node.bias, rtol=1e-15)


def test_gain_depends_on_dt():
    graph = conv_chain(conv(weight(3, 2, 3, 3)), neurons=leaky(MAP, 1.0, decay=0.5))
    layer = lower(graph, meta_of(dt=DT / 2)).layers[0]
    assert layer.decay == 0.75
    np.testing.assert_allclose(layer.synapses[0].weight, 0.5 * weight(3, 2, 3, 3), rtol=1e-15)


def test_linear_node_has_no_bias():
    nodes = {"flat": flatten(SHAPE), "dense": nir.Linear(weight(7, 60)), "fire": leaky((7,), 1.0)}
    layers = lower(chain(nodes | {"last": nir.Linear(weight(4, 7))}), meta_of()).layers
    assert [la.bias.tolist() for la in layers] == [[0.0] * 7, [0.0] * 4]
    np.testing.assert_array_equal(layers[1].synapses[0].weight, weight(4, 7))


def test_biases_of_several_linear_nodes_add_up():
    graph = conv_chain(conv(weight(3, 2, 3, 3), weight(3)))
    graph.nodes["other"] = conv(weight(3, 2, 3, 3), 2 * weight(3))
    graph.edges += [("input", "other"), ("other", "fire")]
    layer = lower(graph, meta_of()).layers[0]
    np.testing.assert_allclose(layer.bias, 3 * weight(3))


def test_convolutions_of_one_geometry_between_two_populations_add_up():
    graph = conv_chain(conv(weight(3, 2, 3, 3)))
    graph.nodes["other"] = conv(2 * weight(3, 2, 3, 3))
    graph.edges += [("input", "other"), ("other", "fire")]
    (synapse,) = lower(graph, meta_of()).layers[0].synapses
    np.testing.assert_allclose(synapse.weight, 3 * weight(3, 2, 3, 3))


def test_spike_readout_has_no_membrane_layer():
    nodes = {"flat": flatten(SHAPE), "dense": affine(weight(4, 60)), "fire": integrate((4,), 1.0)}
    layers = lower(chain(nodes), meta_of(readout="spikes")).layers
    assert [(la.name, la.theta) for la in layers] == [("fire", 1.0)]


def test_lattice_without_offset_subtracts_nothing():
    meta = meta_of(input_lattice=InputLattice())
    assert lower(conv_chain(conv(weight(3, 2, 3, 3))), meta).offset == (0, 0)


def refused(graph, message, meta: NirMeta | None = None):
    with pytest.raises(UnsupportedNodeError, match=message):
        lower(graph, meta or meta_of())


def test_unknown_lattice_is_refused():
    meta = meta_of(input_lattice=InputLattice(scale=16))
    refused(conv_chain(conv(weight(3, 2, 3, 3))), "images on the uint8 lattice.*scale 255", meta)


def test_frames_are_refused():
    graph = conv_chain(conv(weight(3, 2, 3, 3)))
    refused(graph, "direct-coded images.*got encoding 'frames'", meta_of(encoding="frames"))


def test_map_as_output_is_refused():
    nodes = {"conv": conv(weight(3, 2, 3, 3)), "fire": integrate(MAP, 1.0)}
    nodes["last"] = conv(weight(4, 3, 6, 5), padding=0)
    refused(chain(nodes, out=(4, 1, 1)), r"one dense layer before the output, got \['last'\]")


def test_two_nodes_before_the_output_are_refused():
    graph = conv_chain(conv(weight(3, 2, 3, 3)))
    graph.nodes["other"] = affine(weight(4, 90))
    graph.edges += [("flat", "other"), ("other", "output")]
    refused(graph, r"one dense layer before the output, got \['last', 'other'\]")


def test_input_as_output_is_refused():
    refused(chain({}, out=SHAPE), r"one dense layer before the output, got \['input'\]")


def test_dead_nodes_are_left_out():
    nodes = {"flat": flatten(SHAPE), "dense": affine(weight(4, 60)), "fire": integrate((4,), 1.0)}
    graph = chain(nodes)
    graph.nodes["tail"], graph.nodes["late"] = affine(weight(3, 4)), integrate((3,), 1.0)
    graph.edges += [("fire", "tail"), ("tail", "late")]
    layers = lower(graph, meta_of(readout="spikes")).layers
    assert [layer.name for layer in layers] == ["fire"]


def test_output_of_neurons_that_others_follow_is_refused():
    nodes = {"flat": flatten(SHAPE), "dense": affine(weight(4, 60)), "fire": integrate((4,), 1.0)}
    graph = chain(nodes)
    graph.nodes["other"], graph.nodes["late"] = affine(weight(4, 4)), integrate((4,), 1.0)
    graph.edges += [("fire", "other"), ("other", "late"), ("late", "output")]
    refused(
        graph,
        r"one dense layer before the output, got \['fire', 'late'\]",
        meta_of(readout="spikes"),
    )


def test_vector_input_is_refused():
    graph = chain({"last": affine(weight(4, 60))}, shape=(60,))
    refused(graph, r"expected images \(C, H, W\) at the input, got shape \(60,\)")


@pytest.mark.parametrize("offset", [(1, 2, 3), (300, 0), (-1, 0)])
def test_impossible_offset_is_refused(offset):
    meta = meta_of(input_lattice=InputLattice(offset=offset))
    refused(conv_chain(conv(weight(3, 2, 3, 3))), "an offset in 0..255 for each of 2", meta)
