from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.deploy.float_network import FloatLayer, FloatNetwork, FloatSynapse, Reading
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.deploy.stages import stages
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.graph.meta import InputLattice, NirMeta

STEPS = 5


@pytest.fixture
def network(rng):
    """A convolution with leaky neurons and a read-out, weights in steps of the payload."""
    conv = FloatSynapse(source="input", weight=rng.normal(size=(3, 1, 3, 3)) / 300, padding=(1, 1))
    dense = FloatSynapse(source="hidden", weight=rng.normal(size=(4, 48)))
    hidden = FloatLayer(
        name="hidden",
        shape=(3, 4, 4),
        synapses=(conv,),
        bias=rng.normal(size=3) / 10,
        theta=1.0,
        decay=0.9,
    )
    out = FloatLayer(
        name="out",
        shape=(4,),
        synapses=(dense,),
        bias=rng.normal(size=4),
        theta=None,
        readings=(Reading(kind="sum", decay=1.0, times=STEPS),),
    )
    meta = NirMeta(
        dt=1.0,
        steps=STEPS,
        encoding="direct",
        readout="membrane",
        reset="zero",
        input_lattice=InputLattice(offset=(0,)),
    )
    return FloatNetwork(source="input", input_shape=(1, 4, 4), layers=(hidden, out), meta=meta)


def images(rng):
    return torch.from_numpy(rng.integers(0, 256, (6, 1, 4, 4))).to(torch.float32) / 255


def built(network, bits):
    precision = Precision(bits=bits)
    program, scales = quantize(network, precision=precision, factors={})
    return TwinClassifier(program), stages(network, scales, precision=precision)


def test_rounded_stages_come_close_to_the_chip(network, rng):
    chip, found = built(network, 4)
    x = images(rng)
    with torch.no_grad():
        off = {name: float((stage(x) - chip(x)).abs().max()) for name, stage in found.items()}
    assert list(off) == ["fold", "weights", "thresholds"]
    assert off["thresholds"] < off["fold"]


def test_stages_can_be_differentiated(network, rng):
    _, found = built(network, 8)
    x = images(rng).requires_grad_(True)
    found["weights"].using("rga")(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())


def test_estimators_leave_the_forward_pass_alone(network, rng):
    _, found = built(network, 8)
    x = images(rng)
    assert torch.equal(found["fold"](x), found["fold"].using("sigmoid")(x))


def test_currents_that_last_are_not_computed(network):
    lasting = replace(network.layers[0], synapse=0.5)
    network = replace(network, layers=(lasting, network.layers[1]))
    assert stages(network, {"hidden": 1.0, "out": 1.0}, precision=Precision()) == {}


def test_weights_are_whole_multiples_of_a_step(network):
    _, found = built(network, 3)
    layer = found["weights"].network.layers[1]
    steps = np.unique(np.abs(layer.synapses[0].weight))
    assert len(steps) <= 4
