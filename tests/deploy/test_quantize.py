from typing import Any

import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, RangeError
from spikeproof.deploy.certify import certify
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.export.to_nir import to_nir
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.graph.network import NirNetwork
from spikeproof.sim.program import BIAS, VTH_MAX
from spikeproof.tests.deploy.networks import (
    CLASSES,
    OFFSET,
    SCALE,
    STEPS,
    affine,
    chain,
    conv,
    flatten,
    integrate,
    lattice_graph,
    lattice_images,
    leaky,
    random_network,
    whole,
)

NEURONS = pytest.mark.parametrize("neuron", [integrate, leaky])
READOUTS = pytest.mark.parametrize("readout", ["membrane", "spikes"])


def quantized(graph, bits=8, **factors):
    network = lower(graph, read_meta(graph))
    return quantize(network, precision=Precision(bits=bits), factors=factors)


def run_both(graph, program, count=8):
    """Spikes and logits of the float graph in float64, and of the twin."""
    images = torch.from_numpy(lattice_images(count))
    network = NirNetwork(graph, read_meta(graph), dtype=torch.float64)
    train, chip = network.encode(images), TwinClassifier(program)
    run = chip.run(images.to(torch.float32) / 255)
    assert run.reading is not None
    logits = run.reading * chip.readout.scale
    return (network.run(train), network.logits(train)), (run.spikes, logits.double())


def one_hidden(first, bias, last, last_bias, theta=40.0):
    """Convolution and dense read-out with the given numbers, all in units of 1/SCALE."""
    return chain(
        {
            "conv": conv(first / SCALE, bias / SCALE),
            "fire": integrate((3, 6, 5), theta / SCALE),
            "flat": flatten((3, 6, 5)),
            "last": affine(last / SCALE, last_bias / SCALE),
        }
    )


def numbers(**changes) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    first, last = whole(rng, (3, 2, 3, 3), 127), whole(rng, (CLASSES, 90), 127)
    found = {"first": first, "bias": np.zeros(3), "last": last, "last_bias": np.zeros(CLASSES)}
    return found | changes


@pytest.mark.parametrize("bits", range(2, 9))
@NEURONS
@READOUTS
def test_lattice_network_loses_nothing(bits, neuron, readout):
    graph = lattice_graph(bits=bits, neuron=neuron, readout=readout)
    program, scales = quantized(graph, bits)
    assert set(scales.values()) == {SCALE}
    (spikes, logits), (fired, read) = run_both(graph, program)
    for name, expected in spikes.items():
        assert 0.05 < expected.mean() < 0.95
        torch.testing.assert_close(fired[name].double(), expected, rtol=0, atol=0)
    torch.testing.assert_close(read, logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_fill_their_bits(bits):
    program, _ = quantized(lattice_graph(bits=bits, seed=3), bits)
    assert [int(np.abs(s.weight).max()) for s in program.synapses] == [2 ** (bits - 1) - 1] * 4


@pytest.mark.parametrize("bits", [1, 9])
def test_other_bits_are_refused(bits):
    with pytest.raises(ConfigError, match=f"expected 2 to 8 bits a weight, got {bits}"):
        Precision(bits=bits)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({"first": 8}, [127, 7, 7, 7]),
        ({"last": 2, "fire2": 3}, [7, 3, 7, 1]),
        ({"fire1": 8, "last": 8}, [127, 7, 7, 127]),
    ],
)
def test_layers_have_the_bits_that_they_are_given(layers, expected):
    graph = lattice_graph(bits=8)
    network = lower(graph, read_meta(graph))
    precision = Precision(bits=4, layers=layers)
    assert list(precision.peaks(network).values()) == expected
    program, _ = quantize(network, precision=precision, factors={})
    assert [int(np.abs(s.weight).max()) for s in program.synapses] == expected


def test_bits_of_layers_that_are_not_there_are_refused():
    graph = lattice_graph()
    with pytest.raises(ConfigError, match="expected bits for layers among first, .*, got 'conv9'"):
        Precision(layers={"conv9": 4}).peaks(lower(graph, read_meta(graph)))


def test_a_given_scale_replaces_that_of_the_largest_weight():
    graph = lattice_graph(bits=4)
    network = lower(graph, read_meta(graph))
    given = {"fire1": 9.0, "fire3": 5.0}
    _, scales = quantize(network, precision=Precision(bits=4), factors={}, scales=given)
    assert {name: scales[name] for name in given} == given


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_certificate_holds_and_fields_are_in_range(seed, bits):
    graph = exported(seed)
    program, _ = quantized(graph, bits, spike1=1.5)
    assert all(found.holds for found in certify(program, steps=read_meta(graph).steps))
    assert all(1 <= p.vth <= VTH_MAX and 0 <= p.dv <= 4096 for p in program.populations)
    biases = [p.bias for p in program.populations if p.bias is not None]
    assert biases
    assert all(np.abs(bias).max() <= BIAS.max for bias in biases)


def exported(seed):
    return to_nir(random_network(seed=seed))


def test_program_says_how_images_enter():
    program, _ = quantized(lattice_graph())
    (source,) = program.sources
    assert (source.low, source.high, source.is_graded) == (-max(OFFSET), 255 - min(OFFSET), True)
    assert program.encoding is not None
    assert (program.encoding.offset, program.encoding.steps) == (OFFSET, STEPS)
    assert program.unlevelled() == []


def test_decay_becomes_its_12_bits():
    graph = lattice_graph(neuron=lambda shape, theta: leaky(shape, theta, decay=0.9))
    program, _ = quantized(graph)
    assert [p.dv for p in program.populations] == [410, 410, 410, 0]


def test_factor_above_one_clips_large_weights():
    graph = lattice_graph()
    plain, before = quantized(graph)
    program, scales = quantized(graph, fire2=1.5)
    assert scales == before | {"fire2": 1.5 * SCALE}
    ours, theirs = (p.into("fire2")[0].weight for p in (program, plain))
    np.testing.assert_array_equal(ours, np.clip(np.round(1.5 * theirs), -127, 127))
    assert program.population("fire2").vth == 1.5 * plain.population("fire2").vth


def test_large_threshold_lowers_the_scale():
    program, scales = quantized(one_hidden(**numbers(), theta=2.0 * VTH_MAX))
    assert program.population("fire").vth == VTH_MAX
    assert scales["fire"] == pytest.approx(SCALE / 2)


def test_large_bias_lowers_the_scale():
    values = numbers(bias=np.array([0.0, -2.0 * BIAS.max, 5.0]))
    program, scales = quantized(one_hidden(**values))
    bias = program.population("fire").bias
    assert bias is not None
    assert bias.min() == -BIAS.max
    assert scales["fire"] == pytest.approx(SCALE / 2)


def test_large_fan_in_lowers_the_scale_until_u_fits():
    rng = np.random.default_rng(0)
    first = rng.choice([-127.0, 127.0], (3, 2, 3, 3))
    program, scales = quantized(one_hidden(**numbers(first=first)))
    assert SCALE / 16 < scales["fire"] < SCALE / 3
    assert all(found.holds for found in certify(program, steps=STEPS))


@pytest.mark.parametrize("sign", [1, -1])
def test_membrane_that_might_be_clipped_is_read_at_every_step(sign):
    graph = one_hidden(**numbers(last_bias=sign * np.array([30000.0, 0, 0, 1])))
    program, scales = quantized(graph)
    assert program.readout is not None
    assert (program.readout.kind, program.population("last").dv) == ("sum", 4096)
    assert scales["last"] == SCALE
    (_, logits), (_, read) = run_both(graph, program)
    torch.testing.assert_close(read, logits, rtol=0, atol=1e-4)


def test_bias_that_leaves_no_scale_for_weights_is_refused():
    weight = np.full((5, 240), 1e-4)
    nodes = {
        "flat": flatten((2, 12, 10)),
        "dense": affine(weight, np.full(5, 1e3)),
        "fire": integrate((5,), 1.0),
        "last": affine(np.eye(4, 5) - 0.5),
    }
    with pytest.raises(RangeError, match="population 'fire' to keep a weight, got zeros only"):
        quantized(chain(nodes, shape=(2, 12, 10)))


def test_network_that_fits_at_no_scale_is_refused():
    weight = np.random.default_rng(0).choice([-1.0, 1.0], (5, 2, 12, 10)).reshape(5, 240)
    nodes = {
        "flat": flatten((2, 12, 10)),
        "dense": affine(weight),
        "fire": integrate((5,), 1.0),
        "last": affine(np.eye(4, 5) - 0.5),
    }
    with pytest.raises(
        RangeError, match="population 'fire' to fit its registers, .* inputs are too many, or"
    ):
        quantized(chain(nodes, shape=(2, 12, 10)))


def test_layer_without_weights_is_refused():
    with pytest.raises(RangeError, match="a weight that is not zero into 'fire', got none"):
        quantized(one_hidden(**numbers(first=np.zeros((3, 2, 3, 3)))))
