# nir's annotations are narrower than what it takes.
# pyright: reportArgumentType=false

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.deploy.lower import lower
from spikeproof.sim.graph.meta import InputLattice
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.tests.deploy.float_run import float_run
from spikeproof.tests.deploy.networks import (
    SHAPE,
    affine,
    chain,
    conv,
    flatten,
    integrate,
    lattice_images,
    meta_of,
    weight,
)
from spikeproof.tests.deploy.residual import residual_graph

MAP = (3, 6, 5)


def behind(**nodes):
    """A convolution with neurons on MAP, and what follows them."""
    return chain({"conv": conv(weight(3, 2, 3, 3)), "fire": integrate(MAP, 2.0)} | nodes)


def refused(graph, message):
    with pytest.raises(UnsupportedNodeError, match=message):
        lower(graph, meta_of())


def test_residual_current_is_the_sum_of_its_paths():
    network = NirNetwork(residual_graph(), meta_of(), dtype=torch.float64)
    lowered = lower(residual_graph(), meta_of())
    values = network.run(network.encode(torch.from_numpy(lattice_images(2))))
    values["input"] = network.encode(torch.from_numpy(lattice_images(2)))
    for layer in lowered.layers[1:-1]:
        expected = network.membrane_input(layer.name, values)
        torch.testing.assert_close(arriving(layer, values), expected, rtol=0, atol=1e-9)


def arriving(layer, values):
    """What a lowered layer integrates, from recorded spikes."""
    total = torch.from_numpy(layer.bias).reshape(-1, *(1 for _ in layer.shape[1:]))
    for s in layer.synapses:
        x, w = values[s.source], torch.from_numpy(s.weight)
        sums = F.conv2d(x.flatten(0, 1), w, None, s.stride, s.padding, s.dilation, s.groups)
        total = total + sums.unflatten(0, x.shape[:2])
    return total


def test_shortcut_of_currents_becomes_synapses_of_earlier_populations():
    layers = {la.name: la for la in lower(residual_graph(), meta_of()).layers}
    assert [s.source for s in layers["fire7"].synapses] == ["fire6", "fire4", "fire3"]
    assert layers["fire7"].synapses[2].stride == (2, 2)
    assert [s.source for s in layers["last"].synapses] == ["fire5", "fire7"]


def test_spikes_added_as_they_are_become_weights_of_one():
    layers = {la.name: la for la in lower(residual_graph(), meta_of()).layers}
    identity = layers["fire3"].synapses[1]
    assert (identity.source, identity.groups) == ("fire1", 4)
    np.testing.assert_array_equal(identity.weight, np.ones((4, 1, 1, 1)))


def test_pool_before_neurons_becomes_a_convolution_of_each_channel():
    half = (3, 3, 5)
    graph = behind(
        pool=nir.AvgPool2d(np.array([2, 1]), np.array([2, 1]), np.array([0, 0])),
        fire2=integrate(half, 1.0),
        flat=flatten(half),
        last=affine(weight(4, 45)),
    )
    (synapse,) = lower(graph, meta_of()).layers[1].synapses
    assert (synapse.stride, synapse.groups) == ((2, 1), 3)
    np.testing.assert_array_equal(synapse.weight, np.full((3, 1, 2, 1), 0.5))


def test_scale_multiplies_each_channel():
    factor = np.broadcast_to(np.array([2.0, -1.0, 0.5])[:, None, None], MAP)
    nodes = {"conv": conv(weight(3, 2, 3, 3), weight(3)), "scale": nir.Scale(factor)}
    nodes |= {"fire": integrate(MAP, 1.0), "flat": flatten(MAP), "last": affine(weight(4, 90))}
    layer = lower(chain(nodes), meta_of()).layers[0]
    expected = weight(3, 2, 3, 3) * np.array([2.0, -1.0, 0.5])[:, None, None, None]
    np.testing.assert_allclose(layer.synapses[0].weight, expected, rtol=1e-15)
    np.testing.assert_allclose(layer.bias, weight(3) * [2.0, -1.0, 0.5], rtol=1e-15)


def test_dense_nodes_in_a_row_are_one():
    a, b = weight(5, 90), weight(4, 5)
    graph = behind(flat=flatten(MAP), a=affine(a, weight(5)), b=affine(b, weight(4)))
    layer = lower(graph, meta_of()).layers[-1]
    np.testing.assert_allclose(layer.synapses[0].weight, b @ a, rtol=1e-12)
    np.testing.assert_allclose(layer.bias, b @ weight(5) + weight(4), rtol=1e-12)


def test_scale_of_each_neuron_of_a_map_is_refused():
    nodes = {"scale": nir.Scale(weight(*SHAPE)), "conv": conv(weight(3, 2, 3, 3))}
    nodes |= {"fire": integrate(MAP, 1.0), "flat": flatten(MAP), "last": affine(weight(4, 90))}
    refused(chain(nodes), r"one factor a channel in node 'scale' \(Scale\), got one a neuron")


def test_padded_convolutions_in_a_row_are_refused():
    nodes = {"a": conv(weight(3, 2, 3, 3)), "b": conv(weight(3, 3, 3, 3))}
    nodes |= {"fire": integrate(MAP, 1.0), "flat": flatten(MAP), "last": affine(weight(4, 90))}
    refused(chain(nodes), r"no padding at node 'b' behind another linear node, got \(1, 1\)")


def test_flatten_between_a_convolution_and_neurons_is_refused():
    nodes = {"conv": conv(weight(3, 2, 3, 3)), "flat": flatten(MAP), "fire": integrate((90,), 1.0)}
    refused(chain(nodes | {"last": affine(weight(4, 90))}), "'fire' on the map .* got a flatten")


def test_flatten_alone_before_neurons_is_refused():
    nodes = {"flat": flatten(SHAPE), "fire": integrate((60,), 1.0), "last": affine(weight(4, 60))}
    refused(chain(nodes), "expected a dense layer between maps .* node 'fire', got a flatten alone")


def assert_lowers_exactly(graph):
    network = NirNetwork(graph, meta_of(), dtype=torch.float64)
    images = lattice_images(4)
    trains, logits = float_run(lower(graph, meta_of()), images)
    found = network.run(network.encode(torch.from_numpy(images)))
    for name, train in found.items():
        assert 0.02 < train.mean() < 0.98
        np.testing.assert_array_equal(trains[name].reshape(train.shape), train)
    np.testing.assert_allclose(logits, network(torch.from_numpy(images)), rtol=0, atol=1e-9)


def test_even_kernel_with_same_padding_is_a_kernel_with_a_row_of_zeros(rng):
    kernel = rng.normal(size=(3, 2, 2, 4)) / 100
    node = conv(kernel, rng.normal(size=3), padding="same", dilation=(3, 1))
    nodes = {"conv": node, "fire": integrate(MAP, 1.0), "flat": flatten(MAP)}
    assert_lowers_exactly(chain(nodes | {"last": affine(weight(4, 90))}))


@pytest.mark.parametrize("padding", [2, "same", "valid"])
def test_convolutions_of_rows_are_convolutions_of_maps_of_height_one(rng, padding):
    options = {"stride": 1 if padding == "same" else 2, "padding": padding, "dilation": 1}
    length = {2: 9, "same": 16, "valid": 7}[padding]
    shape = (6, length)
    nodes = {
        "row": nir.Flatten(None, start_dim=0, end_dim=1),
        "conv": nir.Conv1d(
            16, rng.normal(size=(6, 2, 4)) / 100, groups=2, bias=0.1 * weight(6), **options
        ),
        "fire": integrate(shape, 0.8),
        "mix": nir.Conv1d(length, rng.normal(size=(6, 6, 1)), 1, 0, 1, 1, np.zeros(6)),
        "gain": nir.Scale(np.repeat(1 + weight(6, 1) / 2, length, axis=1)),
        "fire2": integrate(shape, 1.0),
        "flat": nir.Flatten(None, start_dim=0, end_dim=-1),
        "last": affine(weight(4, 6 * length)),
    }
    graph = chain(nodes, shape=(4, 1, 16), meta=meta_of(input_lattice=InputLattice()))
    network = NirNetwork(graph, meta_of(input_lattice=InputLattice()), dtype=torch.float64)
    images = rng.integers(0, 256, (4, 4, 1, 16), dtype=np.uint8)
    trains, logits = float_run(lower(graph, network.meta), images)
    for name, train in network.run(network.encode(torch.from_numpy(images))).items():
        assert 0.02 < train.mean() < 0.98
        np.testing.assert_array_equal(trains[name].reshape(train.shape), train)
    np.testing.assert_allclose(logits, network(torch.from_numpy(images)), rtol=0, atol=1e-9)
