"""Bounds over a box of inputs: no input of the box leaves them, and a point has none to spare."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeproof.core.errors import RangeError, UnsupportedNodeError
from spikeproof.sim.classifier import TwinClassifier
from spikeproof.sim.intervals import Enclosure, Span
from spikeproof.tests.deploy.residual import residual_program
from spikeproof.tests.sim.programs import classifier


def leaky(draw):
    """Currents that last and numbers of each neuron, so that no order is kept by accident."""
    program = classifier("sum")
    first = replace(
        program.populations[0],
        du=draw.integers(0, 4097, (3, 2, 2)),
        dv=draw.integers(0, 4097, (3, 1, 1)),
        vth=draw.integers(100, 1500, (2, 2)),
    )
    return replace(program, populations=(first, *program.populations[1:]))


PROGRAMS = {
    "membrane": lambda draw: classifier("membrane"),
    "spikes": lambda draw: classifier("spikes"),
    "leaky": leaky,
    "residual": lambda draw: residual_program(),
}


def enclosed(program, images, width):
    """Bounds of a box of images, and the twin's answer to images of it."""
    chip = TwinClassifier(program)
    ends = (np.clip(images + sign * width, 0, 255).astype(np.float32) for sign in (-1, 1))
    low, high = (chip.payload(torch.from_numpy(end) / 255) for end in ends)
    box = {chip.source.name: Span(low=low, high=high)}
    return chip, Enclosure(program).run(box, steps=chip.encoding.steps)


def images_of(program, draw, count=3):
    return draw.integers(0, 256, (count, *program.sample_shape)).astype(np.int64)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_point_is_enclosed_by_itself(name):
    draw = np.random.default_rng(1)
    program = PROGRAMS[name](draw)
    images = images_of(program, draw, 20)
    chip, found = enclosed(program, images, 0)
    run = chip.run(torch.from_numpy(images).float() / 255, record=True)
    for population in program.populations:
        reach, spikes = found[population.name], run.spikes[population.name]
        assert torch.equal(reach.spikes.low, spikes)
        assert torch.equal(reach.spikes.high, spikes)
        assert torch.equal(reach.v.low, run.registers[population.name].v)
        assert torch.equal(reach.v.high, run.registers[population.name].v)
        assert torch.equal(reach.count.low[0], spikes.sum(0).double())


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1), width=st.integers(1, 60), name=st.sampled_from(sorted(PROGRAMS))
)
def test_no_image_of_the_box_leaves_its_bounds(seed, width, name):
    draw = np.random.default_rng(seed)
    program = PROGRAMS[name](draw)
    images = images_of(program, draw)
    chip, found = enclosed(program, images, width)
    moves = draw.integers(-width, width + 1, (30, *images.shape))
    moves[::2] = np.sign(moves[::2]) * width  # corners, where bounds are reached
    inside = torch.from_numpy(np.clip(images + moves, 0, 255)).float() / 255
    run = chip.run(inside.flatten(0, 1), record=True)
    for key, reach in found.items():
        spikes, v = run.spikes[key], run.registers[key].v
        assert_within(spikes, reach.spikes)
        assert_within(v, reach.v)
        assert_within(spikes.sum(0, keepdim=True), reach.count)


def assert_within(value, span):
    """Of `[t, moves * N, *shape]`, against `[t, N, *shape]`."""
    each = value.unflatten(1, (-1, span.low.shape[1]))
    assert (each >= span.low[:, None]).all()
    assert (each <= span.high[:, None]).all()


def test_wide_boxes_leave_spikes_open():
    program = classifier("membrane")
    _, found = enclosed(program, images_of(program, np.random.default_rng(0)), 200)
    first = found["a"].spikes
    assert (first.low < first.high).any()
    assert (found["a"].count.high > found["a"].count.low).any()


def test_a_current_that_may_wrap_is_refused():
    program = classifier("sum")
    first = replace(program.populations[0], du=0)
    heavy = replace(program.synapses[0], weight=program.synapses[0].weight * 60)
    program = replace(
        program,
        populations=(first, *program.populations[1:]),
        synapses=(heavy, *program.synapses[1:]),
    )
    images = np.full((1, *program.sample_shape), 255)
    with pytest.raises(RangeError, match=r"expected \|u\| < 2\^23 in population 'a', got up to"):
        enclosed(program, images, 0)


def test_decays_that_turn_signs_around_are_refused():
    program = classifier("sum")
    first = replace(program.populations[0], dv=5000)
    with pytest.raises(UnsupportedNodeError, match=r"decays within 0\.\.4096 of population 'a'"):
        Enclosure(replace(program, populations=(first, *program.populations[1:])))


def test_delays_are_refused():
    program = classifier("sum")
    late = tuple(replace(s, delay=1) for s in program.synapses)
    with pytest.raises(UnsupportedNodeError, match="expected levelled paths without loops"):
        Enclosure(replace(program, synapses=late))
