"""How far registers are driven: what wrapping and clipping make of it, and its gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.driven import driven
from spikeproof.sim.fixed_point import STATE_MAX, wrap
from spikeproof.sim.interface import Encoding, Readout
from spikeproof.sim.program import Population, Program, Source, Synapse
from spikeproof.tests.sim.programs import classifier


def images(rng, count=4):
    return torch.from_numpy(rng.integers(0, 256, (count, 2, 4, 4))).float() / 255


def wide(factor):
    """The branching classifier with weights so large that registers overflow."""
    program = classifier()
    first, *rest = program.synapses
    grown = tuple(replace(s, weight=s.weight * factor) for s in (first, *rest))
    return replace(program, synapses=grown)


def one_neuron(*, du=2048, dv=0, vth=100, steps=3, weight=3):
    """A pixel of 0..255, one weight, one neuron, read by another."""
    return Program(
        sources=(Source(name="image", shape=(1, 1, 1), low=0, high=255, message_bits=9),),
        populations=(
            Population(name="a", shape=(1, 1, 1), du=du, dv=dv, vth=vth),
            Population(name="out", shape=(2,), vth=131071, phase=1),
        ),
        synapses=(
            Synapse(source="image", target="a", weight=np.full((1, 1, 1, 1), weight, np.int32)),
            Synapse(source="a", target="out", weight=np.array([[1], [-1]], np.int32)),
        ),
        outputs=("out",),
        encoding=Encoding(offset=(0,), steps=steps),
        readout=Readout(population="out", kind="membrane", scale=1.0),
    )


@pytest.mark.parametrize("factor", [1, 100, 4000])
def test_what_was_driven_becomes_the_register_once_it_is_wrapped_or_clipped(rng, factor):
    program = wide(factor)
    run = TwinClassifier(program).run(images(rng), record=True)
    for population in program.populations:
        found, registers = driven(run, population), run.registers[population.name]
        assert torch.equal(wrap(found.u.to(torch.int32)), registers.u)
        assert torch.equal(found.v.to(torch.int32).clamp(1 - STATE_MAX, STATE_MAX - 1), registers.h)


def test_large_weights_drive_registers_beyond_their_ends(rng):
    run = TwinClassifier(wide(4000)).run(images(rng), record=True)
    found = driven(run, wide(4000).populations[0])
    assert found.u.abs().max() > STATE_MAX
    assert found.v.abs().max() > STATE_MAX


def gradient(program, level, register, step):
    x = torch.full((1, 1, 1, 1), level / 255, requires_grad=True)
    run = TwinClassifier(program, using="triangle").run(x, record=True)
    value = getattr(driven(run, program.populations[0]), register)[step].sum()
    return float(torch.autograd.grad(value, x)[0]) / (255 * 64)


def test_gradient_of_u_is_the_sum_of_what_is_left_of_each_step():
    assert gradient(one_neuron(), 10, "u", 2) == pytest.approx(3 * (1 + 0.5 + 0.25))


def test_gradient_of_v_adds_up_what_u_gave_it():
    program = one_neuron(vth=100_000)
    assert gradient(program, 10, "v", 2) == pytest.approx(3 * (1 + 1.5 + 1.75))


def test_a_spike_cuts_the_gradient_of_v():
    program = one_neuron(du=4096, vth=1)
    assert gradient(program, 10, "v", 2) == pytest.approx(3.0)
