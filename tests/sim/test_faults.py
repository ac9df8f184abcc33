"""Flipped bits and lost spikes: nothing at rate 0, all at rate 1, seeded, Lava's own otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.core.errors import ConfigError, RangeError, UnsupportedNodeError
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.clock import LavaClock
from spikeproof.sim.faults import LostSpikes, flipped
from spikeproof.sim.parity import compare
from spikeproof.sim.twin import Twin
from spikeproof.tests.sim.programs import assert_equal_programs, chain, classifier

KEYS = (7, 8, 9)


def images(rng, count=3):
    return torch.from_numpy(rng.integers(0, 256, (count, 2, 4, 4))).float() / 255


def weights(program):
    return np.concatenate([s.weight.ravel() for s in program.synapses])


def lost(rate, **changes):
    return LostSpikes(**{"rate": rate, "seed": 0, "draw": 0, "keys": KEYS, **changes})


def test_no_bit_flips_at_rate_0():
    assert_equal_programs(flipped(classifier(), rate=0.0, seed=0, draw=0), classifier())


def test_every_bit_flips_at_rate_1():
    found = flipped(classifier(), rate=1.0, seed=0, draw=0)
    np.testing.assert_array_equal(weights(found), -weights(classifier()) - 1)


def test_as_many_bits_flip_as_the_rate_says():
    program = replace(chain(), synapses=(replace(chain().synapses[1], delay=0),))
    many = replace(program.synapses[0], weight=np.zeros((5, 24), np.int32))
    program, flips = replace(program, synapses=(many,)), []
    for draw in range(40):
        found = weights(flipped(program, rate=0.05, seed=0, draw=draw)) & 0xFF
        flips.append(np.unpackbits(found.astype(np.uint8)).sum())
    bits = 40 * 120 * 8
    assert abs(sum(flips) - 0.05 * bits) < 5 * np.sqrt(0.05 * 0.95 * bits)


def test_what_flips_at_one_rate_flips_at_a_higher_one():
    zero = [replace(s, weight=s.weight * 0) for s in classifier().synapses]
    program = replace(classifier(), synapses=tuple(zero))
    few, many = (weights(flipped(program, rate=r, seed=3, draw=1)) & 0xFF for r in (0.05, 0.2))
    assert 0 < (few != 0).sum() < (many != 0).sum()
    np.testing.assert_array_equal(few & many, few)


def test_weights_wider_than_a_byte_are_refused():
    first, *rest = classifier().synapses
    program = replace(classifier(), synapses=(replace(first, weight=first.weight * 99), *rest))
    with pytest.raises(RangeError, match=r"weights of synapse image -> a in -128\.\.127, got"):
        flipped(program, rate=0.1, seed=0, draw=0)


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_rates_that_are_no_chance_are_refused(rate):
    with pytest.raises(ConfigError, match=r"rate of faults in 0\.\.1"):
        flipped(classifier(), rate=rate, seed=0, draw=0)
    with pytest.raises(ConfigError, match=r"rate of faults in 0\.\.1"):
        lost(rate)


@pytest.mark.lava
def test_flipped_network_equals_lava(rng):
    payload = rng.integers(-55, 136, (1, 3, 2, 4, 4)).astype(np.int32)
    program = flipped(classifier(), rate=0.05, seed=0, draw=0)
    assert (weights(program) != weights(classifier())).any()
    report = compare(program, None, payload, timeout=200.0)
    assert (report.samples, report.first) == (3, None)
    assert report.spikes > 20


def test_no_spike_is_lost_at_rate_0(rng):
    model, x = TwinClassifier(classifier("spikes")), images(rng)
    found = model.run(x, wire=lost(0.0)).reading
    assert found is not None
    assert torch.equal(found, model(x) / 0.125)


def test_what_follows_lost_spikes_is_what_a_silent_layer_gives(rng):
    run = TwinClassifier(classifier()).run(images(rng), record=True, wire=lost(1.0))
    assert run.spikes["a"].sum() > 0
    assert not run.activations["b"].any()
    assert not run.activations["relay"].any()


def test_as_many_spikes_are_lost_as_the_rate_says():
    keys = tuple(range(20))
    left = lost(0.3, keys=keys)("a", torch.ones(10, 20, 5, 5, 5))
    expected, spread = 0.7 * left.numel(), np.sqrt(0.21 * left.numel())
    assert abs(float(left.sum()) - expected) < 5 * spread


def test_losses_belong_to_the_sample():
    spikes = torch.ones(4, 3, 2, 3, 3)
    whole, turned = lost(0.5)("a", spikes), lost(0.5, keys=KEYS[::-1])("a", spikes)
    assert torch.equal(whole, turned.flip(1))
    assert not torch.equal(whole, lost(0.5, draw=1)("a", spikes))


def test_losses_without_windows_are_refused():
    clock = LavaClock(steps=4)
    with pytest.raises(UnsupportedNodeError, match="expected a window where spikes are lost"):
        Twin(chain()).run({"image": torch.zeros(4, 1, 2, 5, 4)}, clock, wire=lost(0.5))
