"""Float networks as ONNX files: shapes, steps and refusals; equality is claimed next door."""

import nir
import numpy as np
import onnx
import pytest
import torch

from spikeproof.core.errors import UnsupportedNodeError
from spikeproof.export.float_onnx import network_onnx
from spikeproof.export.onnx_scope import run_onnx
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.tests.deploy.networks import affine, chain, flatten, integrate, leaky, meta_of

SHAPE = (2, 6, 5)


def small(neuron=None, meta=None, theta=900.0):
    """Flatten, dense, neurons, dense."""
    rng = np.random.default_rng(0)
    nodes = {
        "flat": flatten(SHAPE),
        "dense": affine(rng.normal(size=(7, 60)), rng.normal(size=7)),
        "fire": neuron or integrate((7,), theta),
        "last": affine(rng.normal(size=(4, 7)), rng.normal(size=4)),
    }
    return chain(nodes, meta=meta or meta_of())


def both(graph, given):
    """Logits by torch and by onnxruntime, of images in [0, 1] or of frames."""
    network = NirNetwork(graph, read_meta(graph))
    name = "images" if network.meta.encoding == "direct" else "frames"
    x = torch.from_numpy(given)
    with torch.no_grad():
        expected = network(x) if name == "images" else network.logits(x)
    return run_onnx(network_onnx(network), {name: given})["logits"], expected.numpy()


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize(
    "neuron",
    [
        integrate((7,), 900.0),
        integrate((7,), 900.0, gain=0.5),
        leaky((7,), 300.0, decay=0.75, gain=1.25),
        nir.IF(r=np.linspace(3, 5, 7), v_threshold=np.linspace(200, 900, 7)),
        integrate((7,), 1e-35),
        integrate((7,), 2.0**21, gain=2000.0),
    ],
)
def test_logits_equal_torchs(neuron, batch):
    images = np.random.default_rng(1).random((batch, *SHAPE), np.float32)
    found, expected = both(small(neuron), images)
    assert found.shape == (batch, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0


def test_ties_do_not_fire_and_the_next_float_does():
    theta = 0.7
    above = np.nextafter(np.float32(theta), np.float32(1))
    values = np.array([-1e30, -above, -theta, 0, 0.35, theta, above, 1e30], np.float32)
    count = len(values)
    nodes = {"fire": integrate((count,), theta)}
    meta = meta_of(encoding="frames", input_lattice=None, readout="spikes")
    graph = chain(nodes, meta=meta, shape=(count,), out=(count,))
    found, expected = both(graph, np.tile(values, (meta.steps, 1, 1)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[0] == meta.steps, values > np.float32(theta))


def test_frames_are_taken_where_the_network_takes_them():
    meta = meta_of(encoding="frames", input_lattice=None)
    frames = np.random.default_rng(1).random((meta.steps, 3, *SHAPE), np.float32)
    found, expected = both(small(meta=meta, theta=5.0), frames)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_images_without_a_lattice_go_in_as_they_are():
    images = np.random.default_rng(1).random((3, *SHAPE), np.float32)
    found, expected = both(small(meta=meta_of(input_lattice=None), theta=2.0), images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_spikes_are_counted_where_they_are_read():
    graph = small(meta=meta_of(readout="spikes"))
    graph.nodes["count"] = integrate((4,), 2.0)
    graph.edges = [e for e in graph.edges if e[1] != "output"]
    graph.edges += [("last", "count"), ("count", "output")]
    found, expected = both(graph, np.random.default_rng(1).random((5, *SHAPE), np.float32))
    np.testing.assert_array_equal(found, expected)
    assert expected.std() > 0


def test_what_is_the_same_at_every_step_is_added_to_each():
    graph = small()
    graph.nodes["skip"] = affine(np.random.default_rng(2).normal(size=(4, 60)) / 50)
    graph.edges += [("flat", "skip"), ("skip", "output")]
    found, expected = both(graph, np.random.default_rng(1).random((3, *SHAPE), np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_size_does_not_grow_with_the_steps():
    sizes = []
    for steps in (6, 600):
        graph = small(meta=meta_of(steps=steps))
        sizes.append(len(network_onnx(NirNetwork(graph, read_meta(graph)))))
    assert abs(sizes[1] - sizes[0]) < 20


def test_metadata_is_that_of_the_nir_file():
    graph = small()
    model = onnx.load_from_string(network_onnx(NirNetwork(graph, read_meta(graph))))
    found = {p.key: p.value for p in model.metadata_props}
    assert found == {key: str(value) for key, value in meta_of().to_metadata().items()}


S = np.ones(7)
FOREIGN = {
    "leak": (nir.LIF(0.5 * S, 2 * S, v_leak=30 * S, v_threshold=300 * S), {}),
    "reset to a value": (nir.LIF(0.5 * S, S, 0 * S, 300 * S, v_reset=-90 * S), {"reset": "value"}),
    "reset by subtraction": (nir.IF(3 * S, v_threshold=300 * S), {"reset": "subtract"}),
    "one value a neuron": (
        nir.LIF(np.linspace(0.4, 2, 7), S, 9 * S, np.linspace(90, 300, 7)),
        {"reset": "subtract"},
    ),
    "current": (nir.CubaLIF(0.5 * S, 0.7 * S, S, 0 * S, 200 * S, w_in=0.5 * S), {}),
    "threshold": (nir.Threshold(400 * S), {}),
    "integrator": (nir.I(2 * S), {}),
    "leaky integrator": (nir.LI(0.5 * S, S, 7 * S), {}),
    "integrator of a current": (nir.CubaLI(0.5 * S, 0.7 * S, S, 2 * S), {"integration": "euler"}),
}


@pytest.mark.parametrize("readout", ["membrane", "last"])
@pytest.mark.parametrize(("neuron", "how"), FOREIGN.values(), ids=FOREIGN)
def test_any_neurons_and_integrators_equal_torchs(neuron, how, readout):
    images = np.random.default_rng(1).random((5, *SHAPE), np.float32)
    found, expected = both(small(neuron, meta=meta_of(readout=readout, **how)), images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    assert expected.std() > 0


def test_delay_is_refused_by_name():
    graph = small(nir.Delay(np.full(7, 0.25)))
    with pytest.raises(UnsupportedNodeError, match="a linear map at node 'fire' for .*, got Delay"):
        network_onnx(NirNetwork(graph, read_meta(graph)))


def test_loop_is_refused_by_name():
    graph = small()
    graph.edges.append(("fire", "fire"))
    with pytest.raises(UnsupportedNodeError, match="no loop for ONNX, got node 'fire' in one"):
        network_onnx(NirNetwork(graph, read_meta(graph)))
