"""Training on the chip: the chip's integers forward, the de-quantised network backward."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from spikeproof.core.errors import ConfigError
from spikeproof.deploy.certify import certify
from spikeproof.deploy.chip_network import ChipNetwork
from spikeproof.deploy.lower import lower
from spikeproof.deploy.quantize import Precision, quantize
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.clock import Window
from spikeproof.sim.graph.meta import read_meta
from spikeproof.sim.program_file import read_program, write_program
from spikeproof.sim.twin import Twin
from spikeproof.tests.deploy.networks import (
    CLASSES,
    OFFSET,
    SHAPE,
    STEPS,
    affine,
    chain,
    flatten,
    lattice_graph,
    lattice_images,
    leaky,
)


def lowered(graph):
    return lower(graph, read_meta(graph))


def chip_of(network, bits=4, **factors):
    precision = Precision(bits=bits)
    _, scales = quantize(network, precision=precision, factors=factors)
    return ChipNetwork(network, precision=precision, scales=scales)


def uneven(**options):
    """A network whose weights fit no lattice."""
    network = lowered(lattice_graph(**options))
    for layer in network.layers:
        for number, synapse in enumerate(layer.synapses):
            draws = np.random.default_rng(number).normal(0, 0.01, synapse.weight.shape)
            synapse.weight[...] += draws
        layer.bias[...] += 0.013
    return network


@pytest.fixture
def images():
    return torch.from_numpy(lattice_images(9)).to(torch.float32) / 255


LABELS = torch.arange(9) % CLASSES


def learn(chip, images, steps=2, rate=0.05):
    """Steps of the optimizer that training uses, whose fused form tells nobody that it moved."""
    optimizer = torch.optim.SGD(chip.parameters(), lr=rate, momentum=0.9, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(chip(images), LABELS).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("bits", "readout", "options"),
    [(8, "membrane", {}), (3, "membrane", {"neuron": leaky}), (2, "spikes", {})],
)
def test_forward_equals_the_twin_of_the_written_program(images, tmp_path, bits, readout, options):
    chip = chip_of(uneven(bits=bits, readout=readout, **options), bits)
    before = chip(images).detach()
    learn(chip, images)
    learnt = chip(images)
    assert learnt.requires_grad
    write_program(tmp_path / "program.h5", chip.integers()[0])
    program = read_program(tmp_path / "program.h5")
    payload = torch.from_numpy(lattice_images(9)).float() - torch.tensor(OFFSET)[:, None, None]
    run = Twin(program).run({program.sources[0].name: payload[None]}, Window(steps=STEPS))
    assert run.reading is not None
    assert program.readout is not None
    assert torch.equal(learnt.detach(), run.reading * program.readout.scale)
    assert not torch.equal(learnt.detach(), before)


def test_before_learning_it_is_the_quantised_network():
    network = uneven()
    program, scales = quantize(network, precision=Precision(bits=3), factors={"fire2": 1.5})
    found, kept = chip_of(network, 3, fire2=1.5).integers()
    assert kept == scales
    for ours, theirs in zip(found.synapses, program.synapses, strict=True):
        np.testing.assert_array_equal(ours.weight, theirs.weight)
    for ours, theirs in zip(found.populations, program.populations, strict=True):
        assert ours.vth == theirs.vth
        np.testing.assert_array_equal(ours.bias, theirs.bias)


def test_gradient_equals_that_of_the_dequantised_network(images):
    rng = np.random.default_rng(0)
    linear = affine(rng.normal(0, 0.2, (CLASSES, 60)), rng.normal(size=CLASSES))
    chip = chip_of(lowered(chain({"flat": flatten(SHAPE), "last": linear})), 5)
    loss = F.cross_entropy(chip(images), LABELS)
    found = torch.autograd.grad(loss, [*chip.weights, *chip.biases])
    program, scales = chip.integers()
    assert program.populations[0].bias is not None
    weight = torch.from_numpy(program.synapses[0].weight / scales["last"]).requires_grad_()
    bias = torch.from_numpy(program.populations[0].bias / scales["last"]).requires_grad_()
    payload = torch.from_numpy(lattice_images(9)) - torch.tensor(OFFSET)[:, None, None]
    logits = F.linear(payload.double().flatten(1), weight, bias.flatten())
    expected = torch.autograd.grad(F.cross_entropy(logits, LABELS), [weight, bias])
    torch.testing.assert_close(found[0].double(), expected[0] * chip.units[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[1].double(), expected[1].flatten(), rtol=1e-4, atol=1e-6)


def test_learning_leaves_the_given_network_alone(images):
    network, fresh = uneven(), uneven()
    learn(chip_of(network), images)
    for ours, theirs in zip(network.layers, fresh.layers, strict=True):
        np.testing.assert_array_equal(ours.bias, theirs.bias)
        np.testing.assert_array_equal(ours.synapses[0].weight, theirs.synapses[0].weight)


def test_clipped_weights_receive_no_gradient(images):
    chip = chip_of(uneven(bits=3), 3, fire3=2.0)
    scale, unit = chip.config.scales["fire3"], chip.units[2]
    clipped = (chip.weights[2] * unit * scale).abs() > 3
    (found,) = torch.autograd.grad(F.cross_entropy(chip(images), LABELS), [chip.weights[2]])
    assert clipped.any()
    assert not found[clipped].any()
    assert found[~clipped].any()


def test_learning_beyond_the_registers_lowers_the_scale_and_stays_certified(images):
    chip = chip_of(uneven(), 8)
    with torch.no_grad():
        chip.weights[0].fill_(1e3)
        chip.biases[0].fill_(1e5)
    program, scales = chip.integers()
    assert scales["fire1"] < chip.config.scales["fire1"]
    assert all(found.holds for found in certify(program, steps=STEPS))
    learn(chip, images, steps=1)


def test_points_beyond_the_levels_are_the_nearest_that_can_enter(images):
    chip = chip_of(uneven())
    assert torch.equal(chip(images * 3 - 1), chip((images * 3 - 1).clamp(0, 1)))


def test_attacks_of_one_step_share_a_twin(images):
    chip = chip_of(uneven()).requires_grad_(False)
    chip(images)
    first = chip._ready(images.device)[2]
    chip(images)
    assert chip._ready(images.device)[2] is first
    assert torch.equal(chip(images), TwinClassifier(chip.integers()[0])(images))


def test_masters_that_are_not_finite_are_refused(images):
    chip = chip_of(uneven())
    with torch.no_grad():
        chip.weights[1][0] = torch.nan
    with pytest.raises(ConfigError, match="expected finite numbers in training, .* in weights.1"):
        chip(images)
